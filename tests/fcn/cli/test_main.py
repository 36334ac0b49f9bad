"""`python -m fcn` as a user sees it."""

import json
import os
import platform
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import get_args

import pytest

from fcn.__main__ import COMMANDS
from fcn.cli.command_line import Command, parameters
from fcn.cli.export import FormatName
from fcn.cli.submit import BenchmarkName
from fcn.prediction.options import EngineName
from fcn.prediction.submission import BENCHMARKS
from tests.shipped import ROOT

NAMES = [command.__name__ for command in COMMANDS]


def run(
    *arguments: str, options: tuple[str, ...] = (), env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-m", "fcn", *arguments],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_every_command_has_help_with_examples_and_describes_every_argument(
    command: Command,
) -> None:
    done = run(command.__name__, "--help")
    assert done.returncode == 0
    assert f"    fcn {command.__name__}" in done.stdout
    for parameter in parameters(command):
        assert get_args(parameter.annotation)[1].help, parameter.name


def test_the_overview_has_one_line_for_each_command() -> None:
    done = run("--help")
    assert done.returncode == 0
    listed = [line.split()[0] for line in done.stdout.partition("Commands:\n")[2].splitlines()]
    assert listed == NAMES


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["explain", "--help"]])
def test_help_imports_neither_keras_nor_what_reads_data(arguments: list[str]) -> None:
    done = run(*arguments, options=("-X", "importtime"))
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert modules & {"keras", "pandas", "pyarrow", "cv2", "av", "mlflow", "rich"} == set()


def test_version_names_the_project_python_and_the_engines_without_importing_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    done = run("--version", options=("-X", "importtime"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = done.stdout.splitlines()
    assert lines[0] == f"fcn-line {project['version']}, in {ROOT}"
    assert lines[1].startswith(f"Python {platform.python_version()}")
    assert f"keras {metadata.version('keras')}" in lines
    assert [line for line in done.stderr.splitlines() if line.endswith((" keras", " mlflow"))] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_completes_the_command(shell: str) -> None:
    script = run(
        "--show-completion", shell, env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    )
    assert script.returncode == 0
    assert f"_FCN_COMPLETE=complete_{shell}" in script.stdout


def test_completion_offers_commands_and_options() -> None:
    words = {"_FCN_COMPLETE": "complete_bash", "COMP_WORDS": "fcn pre", "COMP_CWORD": "1"}
    assert run(env=words).stdout.split() == ["predict"]
    words |= {"COMP_WORDS": "fcn predict --prob", "COMP_CWORD": "2"}
    assert run(env=words).stdout.split() == ["--probabilities"]


def test_an_unknown_command_is_answered_with_the_nearest() -> None:
    done = run("predit")
    assert done.returncode == 2
    assert "Did you mean 'predict'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["predict", "a", "--modle", "b"], "'--model'"),
        (["predict", "a", "--engine", "tensorflw"], "'tensorflow'"),
        (["export", "a", "--out", "b", "--formats", "onx"], "'onnx'"),
        (["submit", "voc2013", "a"], "'voc2012'"),
    ],
)
def test_an_unknown_option_or_choice_is_answered_with_the_nearest(
    arguments: list[str], near: str
) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert f"; did you mean {near}?" in done.stderr
    assert "Value error" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["predict"],
        ["predict", "a", "--tile", "x"],
    ],
)
def test_wrong_usage_is_code_2(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2


def test_choices_are_what_the_rooms_offer(keras_ready: None) -> None:
    from fcn.serving.engines import ENGINES
    from fcn.serving.formats import FORMATS

    assert [each.value for each in FormatName] == list(FORMATS)
    assert get_args(BenchmarkName) == tuple(BENCHMARKS)
    assert get_args(EngineName) == tuple(ENGINES)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A file with the labels of a model, and no network."""
    labels = {"dataset": "toy", "classes": ["sky", "person"], "channels": 3}
    with zipfile.ZipFile(tmp_path / "toy.keras", "w") as archive:
        archive.writestr("labels.json", json.dumps(labels | {"colours": [[0, 0, 0], [9, 9, 9]]}))
    (tmp_path / "drive.mp4").touch()
    (tmp_path / "2008_000006.jpg").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sticker", "persn", "2008_000006.jpg"], "did you mean 'person'?"),
        (["predict", "2008_000006.jpg", "--sticker", "persn"], "did you mean 'person'?"),
        (["predict", "2008_000007.jpg"], "did you mean '{}/2008_000006.jpg'?"),
        (["submit", "voc2012", "2008_000006.jpg"], "voc2012 scores 21"),
        (["video", "drve.mp4", "--out", "out.mp4"], "did you mean '{}/drive.mp4'?"),
        (["video", "drive.mp4", "--out", "out.avi"], "name it {}/out.mp4"),
    ],
)
def test_a_typo_is_refused_before_keras_is_imported(
    arguments: list[str], message: str, labelled: Path
) -> None:
    paths = [str(labelled / name) if Path(name).suffix else name for name in arguments]
    out = [] if "--out" in arguments else ["--out", str(labelled / "out")]
    model = ["--model", str(labelled / "toy.keras"), "--no-tracking"]
    done = run(*paths, *out, *model, options=("-X", "importtime"))
    assert done.returncode == 1
    assert message.format(labelled) in done.stderr
    assert not [line for line in done.stderr.splitlines() if line.endswith(" keras")]


def test_a_wrong_name_is_answered_in_one_line_before_keras_is_imported(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    predict = ["predict", str(tmp_path / "a.png"), "--model", "digits-fcn9s"]
    done = run(*predict, "--out", str(tmp_path / "out"), options=("-X", "importtime"))
    shown = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert done.returncode == 1
    assert len(shown) == 1
    assert shown[0].startswith("error: no model 'digits-fcn9s'")
    assert not [line for line in done.stderr.splitlines() if line.endswith(" keras")]
