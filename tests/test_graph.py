"""The graph in dvc.yaml says the truth: every stage lists exactly the code that it runs.

DVC does not follow imports. A module that is missing under `deps` would leave old results in place
after an edit; one too many would retrain for nothing.
"""

import ast
import re
import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo

from flows import graph

ROOT = Path(__file__).parents[1]

CANNOT_CHANGE_RESULTS = {
    "fcn/tracking/backlog.py": "tells MLflow later; nothing reads it back",
    "fcn/training/checkpoints.py": "a training that goes on ends with the same bits (tests/pipeline)",
    "fcn/settings/consistency.py": "refuses settings, changes none",
    "fcn/runtime/devices.py": "who trains when; no result goes through it",
    "fcn/cli/arguments.py": "types and help of arguments",
    "fcn/cli/command_line.py": "arguments, help and exit codes; no result goes through it",
    "fcn/common/messages.py": "messages and progress; no result goes through it",
    "fcn/common/files.py": "how files come into place whole, not what is in them",
    "fcn/tracking/logged_model.py": "packs a trained model for MLflow; nothing reads it back",
    "fcn/runtime/progress.py": "says how far a training is",
    "fcn/settings/backbone.py": "types of values that DVC tracks one by one under `params`",
    "fcn/settings/common.py": "the same; a test holds the defaults",
    "fcn/settings/data.py": "the same",
    "fcn/settings/network.py": "the same",
    "fcn/settings/published.py": "the same",
    "fcn/settings/table.py": "the same",
    "fcn/settings/training.py": "the same",
    "fcn/settings/values.py": "the same",
    "fcn/settings/reader.py": "reads these values",
    "fcn/common/text.py": "words in messages",
    "fcn/tracking/runs.py": "tells MLflow afterwards; nothing reads it back",
    "fcn/datasets/shared/vgg.py": "a licence and a citation",
    "fcn/runtime/workers.py": "who does the work; the bytes are the same for any number of workers",
}
READING = {
    "fcn/datasets/shared/compose.py",
    "fcn/datasets/shared/masks.py",
    "fcn/datasets/shared/voc.py",
}
"""What data sets share. The graph is written once for all of them, so its
stages list what any needs there; one runs again for nothing when what it does not need changes."""
NOT_RUN_THERE = {
    # These need a data set's values: archives, citation, overlaps.
    "download": {
        "fcn/datasets/shared/compose.py",
        "fcn/datasets/shared/masks.py",
        "fcn/datasets/shared/subset.py",
    },
    "table": {
        "fcn/datasets/shared/compose.py",
        "fcn/datasets/shared/masks.py",
        "fcn/datasets/shared/subset.py",
    },
    # Reads single objects, which have no masks.
    "backbone": {
        "fcn/datasets/shared/masks.py",
        "fcn/datasets/shared/subset.py",
        "fcn/datasets/shared/voc.py",
    },
    "train": {"fcn/pictures/overlay.py"},  # what they show goes to MLflow only
}
"""What comes in without being called there, or without touching what the stage leaves."""
NOT_IN_THE_GRAPH = {"compare": "flows.promote asks it; nothing depends on its answer"}
FOUND_BY_NAME = ("fcn/backbones/", "fcn/datasets/", "fcn/heads/")
"""Folders whose modules are imported by the name in the settings, not by an import statement."""


TABLES = sorted(path.stem for path in (ROOT / "tables").glob("*.yaml"))


@pytest.fixture(scope="module", params=TABLES)
def stages(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, set[str]]:
    """Every stage of the graph of one table with its dependencies as paths from the root."""
    root = tmp_path_factory.mktemp(request.param)
    activate(root, request.param)
    with Repo.init(str(root), no_scm=True) as repo:
        return {
            stage.name: {
                Path(dep.fs_path).relative_to(root).as_posix()
                for dep in stage.deps
                if not hasattr(dep, "params")
            }
            for stage in repo.index.stages
        }


def activate(root: Path, *tables: str) -> None:
    """Copy graph and settings to `root`, with these tables active."""
    lines = (ROOT / "dvc.yaml").read_text("utf-8")
    active = "".join(f"  - tables/{table}.yaml\n" for table in tables)
    lines = re.sub(r"vars:\n.*?\n\n", f"vars:\n{active}\n", lines, count=1, flags=re.DOTALL)
    (root / "dvc.yaml").write_text(lines, "utf-8")
    shutil.copy(ROOT / "params.yaml", root)
    shutil.copytree(ROOT / "tables", root / "tables")


def imports(path: Path) -> set[Path]:
    """The project's modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        files = (ROOT / f"{name.replace('.', '/')}.py" for name in names)
        found |= {file for file in files if file.is_file()}
    return found


def code_of(start: set[Path]) -> set[str]:
    """All modules that the files in `start` import, directly or not, and themselves."""
    seen: set[Path] = set()
    todo = set(start)
    while todo:
        path = todo.pop()
        seen.add(path)
        if path.relative_to(ROOT).as_posix() not in CANNOT_CHANGE_RESULTS:
            todo |= imports(path) - seen
    return {path.relative_to(ROOT).as_posix() for path in seen}


def test_every_stage_lists_exactly_the_code_it_runs(stages: dict[str, set[str]]) -> None:
    wrong = {}
    for name, deps in stages.items():
        listed = {dep for dep in deps if dep.endswith(".py")}
        by_name = {dep for dep in listed if dep.startswith(FOUND_BY_NAME)}
        stage = name.partition("@")[0]
        runs = code_of({ROOT / f"stages/{stage}.py", *(ROOT / dep for dep in by_name)})
        runs -= CANNOT_CHANGE_RESULTS.keys()
        missing, too_many = runs - listed, listed - runs
        missing -= NOT_RUN_THERE.get(stage, set())
        if any(dep.startswith("fcn/datasets/") for dep in listed):
            too_many -= READING
        if missing or too_many:
            wrong[name] = {"missing": missing, "too many": too_many}
    assert not wrong


def test_every_stage_file_is_in_the_graph(stages: dict[str, set[str]]) -> None:
    doors = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    doors -= NOT_IN_THE_GRAPH.keys()
    assert {name.partition("@")[0] for name in stages} == doors


def test_modules_outside_the_dependencies_exist() -> None:
    assert [path for path in CANNOT_CHANGE_RESULTS if not (ROOT / path).is_file()] == []


def test_stages_say_what_they_do() -> None:
    with Repo(str(ROOT)) as repo:
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
