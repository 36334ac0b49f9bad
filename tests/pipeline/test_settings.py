"""Settings that stages read, recorded while they run; and what DVC says after each change."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from fcn.settings import reader
from fcn.settings.common import NO_EFFECT
from tests.pipeline.conftest import RECORDED, Project

TABLE = "tables/digits.yaml"
Read = dict[str, set[tuple[str, str]]]


@pytest.fixture(scope="session")
def project(by_dvc: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project that DVC has run."""
    root = tmp_path_factory.mktemp("recorded") / "project"
    shutil.copytree(by_dvc.root, root, symlinks=True)
    return Project(root)


@pytest.fixture(scope="session")
def read(by_dvc: Project) -> Read:
    """File and key of each setting that a stage read where it can change a result, by stage."""
    recorded = (by_dvc.root / RECORDED).glob("*.json")
    stages = {path.stem: json.loads(path.read_text("utf-8")) for path in recorded}
    return {name: {(file, key) for file, key in keys} for name, keys in stages.items()}


def test_every_setting_that_a_stage_reads_is_declared(read: Read, project: Project) -> None:
    lock = YAML(typ="safe").load((project.root / "dvc.lock").read_text("utf-8"))["stages"]
    assert read.keys() == lock.keys()
    for name, settings in read.items():
        declared = lock[name].get("params", {})
        whole_files = {dep["path"] for dep in lock[name]["deps"]}
        undeclared = {
            (file, key)
            for file, key in settings
            if key.partition(".")[0] not in NO_EFFECT
            and file not in whole_files
            and not any(key == group or key.startswith(f"{group}.") for group in declared[file])
        }
        assert undeclared == set(), name
    # The recorder sees what is read: a training reads its learning rate, an evaluation its batch.
    assert (TABLE, "models.digits-fcn8s.training.learning_rate") in read["train@digits-fcn8s"]
    assert (TABLE, "tables.digits.evaluation.batch") in read["evaluate@digits-fcn8s"]


def leaves(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def others(value: Any) -> Iterator[Any]:
    """Yield values to put in place of a setting, the likeliest to be allowed first."""
    match value:
        case bool():
            yield not value
        case int():
            yield from (value + 1, value * 2, max(1, value // 2))
        case float():
            yield from (value / 2 or 0.5, value + 1)
        case str():
            yield from (f"{value}x", "fcn4s", "area", "val", "scratch")
        case list():
            yield value[:-1]


def test_a_change_of_any_setting_makes_dvc_name_every_stage_that_reads_it(
    read: Read, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every leaf of the default table: changed, it is refused, or the stages that read it rerun."""
    monkeypatch.chdir(project.root)
    yaml, path = YAML(typ="safe"), project.root / TABLE
    text = path.read_text("utf-8")
    changes = set()
    for leaf in leaves(yaml.load(text)):
        key = ".".join(leaf)
        readers = {name for name, settings in read.items() if concerns(settings, key)}
        for value in others(at(yaml.load(text), leaf)):
            tree = yaml.load(text)
            at(tree, leaf[:-1])[leaf[-1]] = value
            with path.open("w", encoding="utf-8") as file:
                yaml.dump(tree, file)
            try:
                reader.load("digits")
            except ValueError:
                continue  # refused before any stage runs
            with Repo() as repo:
                changed = set(repo.status())
            assert readers <= changed, (key, value)
            changes.add(key)
            break
    path.write_text(text, "utf-8")
    assert "models.digits-fcn8s.training.translate" in changes
    assert "backbones.digits-vgg16.network.dropout" in changes
    assert len(changes) > 30


def concerns(settings: set[tuple[str, str]], key: str) -> bool:
    """Whether a stage read this key, or a value that holds it."""
    return any(
        file == TABLE and (key == one or key.startswith(f"{one}.")) for file, one in settings
    )


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def test_the_shape_of_a_backbone_is_declared_by_what_is_built_on_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`network.resize` changes no weight of the backbone's file, only what stands on it."""
    monkeypatch.chdir(project.root)
    path = project.root / TABLE
    text = path.read_text("utf-8")
    assert text.count("std: 255.0}") == 1
    path.write_text(text.replace("std: 255.0}", "std: 255.0, resize: 2.0}"), "utf-8")
    try:
        with Repo() as repo:
            changed = set(repo.status())
    finally:
        path.write_text(text, "utf-8")
    rows = ("digits-fcn32s", "digits-fcn16s", "digits-fcn8s")
    assert {f"{stage}@{row}" for stage in ("train", "evaluate") for row in rows} <= changed
