"""The graph in dvc.yaml says the truth: every stage lists exactly the code that it runs.

DVC does not follow imports. A module that is missing under `deps` would leave old results in place
after an edit; one too many would retrain for nothing.
"""

import ast
from pathlib import Path

import pytest
from dvc.repo import Repo

ROOT = Path(__file__).parents[1]

CANNOT_CHANGE_RESULTS = {
    "fcn/consistency.py": "refuses settings, changes none",
    "fcn/door.py": "arguments, messages and progress; no result goes through it",
    "fcn/files.py": "how files come into place whole, not what is in them",
    "fcn/settings.py": "reads values that DVC tracks one by one under `params`",
    "fcn/text.py": "words in messages",
    "fcn/tracking.py": "tells MLflow afterwards; nothing reads it back",
}
NOT_RUN_THERE = {
    ("download", "fcn/compose.py"): "a data set's archives are values; no canvas is drawn",
    ("table", "fcn/compose.py"): "a data set's citation is a value; no canvas is drawn",
}
FOUND_BY_NAME = ("fcn/backbones/", "fcn/datasets/", "fcn/heads/")
"""Folders whose modules are imported by the name in the settings, not by an import statement."""


@pytest.fixture(scope="module")
def stages() -> dict[str, set[str]]:
    """Every stage of the graph with its dependencies as paths from the root."""
    with Repo(str(ROOT)) as repo:
        return {
            stage.addressing: {
                Path(dep.fs_path).relative_to(ROOT).as_posix()
                for dep in stage.deps
                if not hasattr(dep, "params")
            }
            for stage in repo.index.stages
        }


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
        runs -= {path for where, path in NOT_RUN_THERE if where == stage}
        if runs != listed:
            wrong[name] = {"missing": runs - listed, "too many": listed - runs}
    assert not wrong


def test_every_stage_file_is_in_the_graph(stages: dict[str, set[str]]) -> None:
    doors = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    assert {name.partition("@")[0] for name in stages} == doors


def test_modules_outside_the_dependencies_exist() -> None:
    assert [path for path in CANNOT_CHANGE_RESULTS if not (ROOT / path).is_file()] == []


def test_stages_say_what_they_do() -> None:
    with Repo(str(ROOT)) as repo:
        assert [stage.addressing for stage in repo.index.stages if not stage.desc] == []
