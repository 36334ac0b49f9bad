"""The contract of every stage; a new file in stages/ needs no new test."""

import importlib
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from fcn.settings import reader
from tests.shipped import ROOT, SHIPPED

STAGES = sorted(path.stem for path in (ROOT / "stages").glob("[!_]*.py"))
KEYED = [name for name in STAGES if name != "code"]
"""The stages that run for an entry of a table file."""


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest) -> str:
    return request.param


def run(
    stage: str, *arguments: str, cwd: Path = SHIPPED, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-m", f"stages.{stage}", *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def parameters(stage: str) -> dict[str, Any]:
    """The annotation of each of the stage's arguments."""
    function = getattr(importlib.import_module(f"stages.{stage}"), stage)
    return {name: kind.annotation for name, kind in inspect.signature(function).parameters.items()}


def options(stage: str, folder: Path) -> list[str]:
    """Every path argument of the stage, with a path in `folder` where no file is."""
    names = [name for name, kind in parameters(stage).items() if get_args(kind)[0] is Path]
    return [part for name in names for part in (f"--{name.replace('_', '-')}", str(folder / name))]


def a_key(stage: str) -> str:
    """A key of the default table that the stage accepts."""
    table = reader.load("digits", SHIPPED).table
    sections = {
        "download": table.downloads,
        "backbone": table.backbones,
        "train": table.models,
        "evaluate": table.models,
        "table": table.tables,
        "compare": table.tables,
    }
    return next(iter(sections.get(stage, table.datasets)))


def test_docstring_shows_the_command_with_every_argument(stage: str, tmp_path: Path) -> None:
    doc = importlib.import_module(f"stages.{stage}").__doc__ or ""
    assert f"python -m stages.{stage}{' digits' if stage in KEYED else ''}" in doc
    assert [option for option in options(stage, tmp_path)[::2] if option not in doc] == []


def words(text: str) -> str:
    """A text without line breaks, those of commands too."""
    return " ".join(text.replace("\\\n", " ").split())


def test_help_is_the_docstring_and_describes_every_argument(
    stage: str, help_of: Callable[[str], str]
) -> None:
    doc = importlib.import_module(f"stages.{stage}").__doc__ or ""
    assert words(doc) in words(help_of(f"stages.{stage}"))
    assert [name for name, kind in parameters(stage).items() if not get_args(kind)[1].help] == []


def test_help_imports_nothing_that_takes_seconds(stage: str) -> None:
    done = run(stage, "--help", options=("-X", "importtime"))
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "typer" in modules
    assert modules & {"keras", "tensorflow", "jax", "mlflow", "scipy", "pandas", "rich"} == set()


@pytest.mark.parametrize("stage", KEYED)
def test_an_unknown_key_is_answered_with_the_nearest(stage: str, tmp_path: Path) -> None:
    done = run(stage, f"{a_key(stage)}-x", *options(stage, tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "did you mean" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", [name for name in KEYED if name != "download"])
def test_missing_inputs_end_with_one_message_and_leave_nothing(stage: str, tmp_path: Path) -> None:
    done = run(stage, a_key(stage), *options(stage, tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert str(tmp_path) in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", KEYED)
def test_outside_the_project_it_says_where_to_run_from(stage: str, tmp_path: Path) -> None:
    done = run(stage, a_key(stage), *options(stage, tmp_path), cwd=tmp_path)
    assert done.returncode == 1
    assert "tables/digits.yaml" in done.stderr
