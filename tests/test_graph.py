"""The graph in dvc.yaml is complete: every stage declares the code and the settings that it uses.

DVC does not follow imports, and reads no setting that is not declared. What is missing there would
leave old results in place after an edit; what is too much would retrain for nothing.
"""

import ast
import dataclasses
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from fcn.code import imports, lists
from fcn.settings import reader, stages
from fcn.settings.common import NO_EFFECT, Common, Compute
from fcn.settings.keys import table_of
from fcn.settings.values import Settings
from flows.pipeline import graph
from tests.recorder import PARAMS, directly_inside
from tests.shipped import ROOT, SHIPPED, names

TABLES = sorted(path.stem for path in (SHIPPED / "tables").glob("*.yaml"))
NOT_IN_THE_GRAPH = {"compare": "flows.promote runs it; nothing depends on its answer"}
SETTINGS: Mapping[str, Callable[[str], Any]] = {
    "download": stages.DownloadSettings.of,
    "convert": stages.ConvertSettings.of,
    "validate": stages.ValidateSettings.of,
    "ceiling": stages.CeilingSettings.of,
    "backbone": stages.BackboneSettings.of,
    "train": stages.TrainSettings.of,
    "evaluate": stages.EvaluateSettings.of,
    "table": stages.TableSettings.of,
}
"""By shipped stage: its settings. No stage reads any other way (see the test)."""
SINGLE = {
    ("download", "module"): "downloads.{key}.module",
    ("convert", "module"): "datasets.{key}.module",
    ("validate", "splits"): "datasets.{key}.convert.splits",
    ("evaluate", "head"): "models.{key}.head",
}
"""Single values, which carry no place of their own: stage and field, and its key."""
LIGHT = {"cv2", "distributed", "filelock", "psutil", "pydantic", "ruamel"}
"""All that these rooms import beside the standard library; of cv2, workers set the threads only."""


def activate(root: Path, *tables: str) -> None:
    """Copy graph and settings to `root`, with these tables active."""
    lines = (SHIPPED / "dvc.yaml").read_text("utf-8")
    active = "".join(f"  - tables/{table}.yaml\n" for table in tables)
    lines = re.sub(r"vars:\n.*?\n\n", f"vars:\n{active}\n", lines, count=1, flags=re.DOTALL)
    (root / "dvc.yaml").write_text(lines, "utf-8")
    shutil.copy(SHIPPED / "params.yaml", root)
    shutil.copytree(SHIPPED / "tables", root / "tables")


@pytest.fixture(scope="module", params=TABLES)
def declared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, set[tuple[str, str]]]:
    """File and dotted key of each setting that a stage declares, by stage, for one table.

    A table file that is a dependency as a whole has the empty key.
    """
    root = tmp_path_factory.mktemp(request.param)
    activate(root, request.param)
    with Repo.init(str(root), no_scm=True) as repo:
        return {
            stage.name: {
                (Path(dep.fs_path).relative_to(root).as_posix(), key)
                for dep in stage.deps
                for key in getattr(dep, "params", [""])
            }
            for stage in repo.index.stages
            if stage.name.partition("@")[0] in SETTINGS
        }


def available(stage: str, key: str, patch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Yield file and key of every setting that a stage could read from its settings object."""
    loaded = reader.load(key)
    patch.setattr(stages, "load", lambda _: loaded)
    file = f"tables/{table_of(key)}.yaml"
    paths = {id(settings): path for path, settings in settings_of(loaded.table)}
    settings = SETTINGS[stage](key)
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, Compute):
            yield from ((PARAMS, name) for name in Compute.model_fields)
        elif field.name in Common.model_fields:
            yield PARAMS, field.name
        elif isinstance(value, Settings):
            yield file, paths[id(value)]
        elif isinstance(value, Mapping) and all(isinstance(v, Settings) for v in value.values()):
            yield file, field.name
        else:
            yield file, SINGLE[stage, field.name].format(key=key)


def settings_of(settings: Settings, path: str = "") -> Iterator[tuple[str, Settings]]:
    """Yield all settings inside others with their dotted keys."""
    for name, field in type(settings).model_fields.items():
        inner = f"{path}.{field.alias or name}".strip(".")
        for below, one in directly_inside(inner, getattr(settings, name)):
            yield below, one
            yield from settings_of(one, below)


def covered(setting: tuple[str, str], declared: set[tuple[str, str]]) -> bool:
    """Whether a setting, or a group that it is in, is declared."""
    file, key = setting
    parts = key.split(".")
    groups = (".".join(parts[:number]) for number in range(len(parts) + 1))
    return any((file, group) in declared for group in groups)


def test_a_stage_gets_no_setting_that_it_does_not_declare(
    declared: dict[str, set[tuple[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    undeclared = {
        name: left
        for name, keys in declared.items()
        if (
            left := {
                setting
                for setting in available(*name.split("@"), monkeypatch)
                if setting[1] not in NO_EFFECT and not covered(setting, keys)
            }
        )
    }
    assert declared
    assert undeclared == {}


def test_stages_read_settings_by_no_other_way() -> None:
    """Only flows, commands and the settings' own room may read a whole table file."""
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in [*(ROOT / "stages").glob("*.py"), *(ROOT / "fcn").rglob("*.py")]
        if any(name == "fcn.settings.reader" for name in imported(path))
    }
    code = {
        path.relative_to(ROOT).as_posix()
        for stage in SETTINGS
        for path in imports.code_of(ROOT / f"stages/{stage}.py")
    }
    assert readers & code == set()


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


@pytest.mark.parametrize("stage", SETTINGS)
def test_a_stage_depends_on_its_list_of_code_and_on_modules_found_by_name(stage: str) -> None:
    definition = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"][stage]
    path, *others = definition["do"]["deps"]
    assert path == f"data/code/{stage}.txt"
    named = [re.match(r"fcn/(\w+)/\$\{item\.\w+\}\.py$", dep) for dep in others]
    rooms = {match[1] for match in named if match}
    code = imports.code_of(ROOT / f"stages/{stage}.py")
    finders = [path for path in lists.FOUND_BY_NAME if ROOT / path in code]
    assert rooms <= {room for path in finders for room in lists.FOUND_BY_NAME[path]}
    assert bool(rooms) == bool(finders)


def test_no_other_file_of_a_stage_imports_by_a_name() -> None:
    code = {path for stage in SETTINGS for path in imports.code_of(ROOT / f"stages/{stage}.py")}
    finders = {path for path in code if b"import_module" in path.read_bytes()}
    assert {path.relative_to(ROOT).as_posix() for path in finders} == {*lists.FOUND_BY_NAME}


def test_every_shipped_stage_is_in_the_graph() -> None:
    text = (SHIPPED / "dvc.yaml").read_text("utf-8")
    stages = {*names("stages")}
    graph = set(re.findall(r"^  (\w+):$", text, re.MULTILINE))
    assert graph & stages == stages - NOT_IN_THE_GRAPH.keys()
    assert stages - NOT_IN_THE_GRAPH.keys() == {*SETTINGS, "code"}


@pytest.mark.parametrize(
    "room", [name for name in imports.RESULT_FREE if name not in ("cli", "tracking")]
)
def test_a_room_without_deps_has_nothing_to_compute_with(room: str) -> None:
    """What it imports is the standard library, its own kind, and libraries that hold no numbers.

    `cli` and `tracking` import more, but return nothing that a stage writes: a test in
    tests/pipeline compares the files of a run with and without them.
    """
    allowed = {*sys.stdlib_module_names, *LIGHT, *(f"fcn.{free}" for free in imports.RESULT_FREE)}
    for path in (ROOT / "fcn" / room).rglob("*.py"):
        names = {name for name in imported(path) if "." not in name or name.startswith("fcn.")}
        roots = {".".join(n.split(".")[: 2 if n.startswith("fcn.") else 1]) for n in names}
        assert roots <= allowed | {"fcn"}, path


def test_code_that_is_not_python_counts() -> None:
    code = {path.relative_to(ROOT).as_posix() for path in imports.code_of(ROOT / "stages/table.py")}
    assert "fcn/report/page/page.html.j2" in code


def test_stages_say_what_they_do(tmp_path: Path) -> None:
    activate(tmp_path, *TABLES)
    with Repo.init(str(tmp_path), no_scm=True) as repo:
        assert [stage.addressing for stage in repo.index.stages if not stage.desc] == []


def test_two_table_files_with_the_same_key_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    activate(tmp_path, "digits", "twin")
    shutil.copy(tmp_path / "tables/digits.yaml", tmp_path / "tables/twin.yaml")
    Repo.init(str(tmp_path), no_scm=True).close()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(graph.GraphError, match=r"tables/twin\.yaml.*digits"):
        graph.read()
