"""The command line as a person sees it."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from fcn.__main__ import COMMANDS, main

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(COMMANDS[name][0])
    assert f"python -m fcn {name} " in (module.__doc__ or "")
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"python -m fcn {name} " in capsys.readouterr().out


def test_the_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert [name for name, (_, makes) in COMMANDS.items() if makes not in shown] == []


@pytest.mark.parametrize(
    "arguments", [[], ["predit"], ["predict"], ["predict", "a", "--tile", "x"]]
)
def test_wrong_usage_is_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_a_wrong_name_is_answered_in_one_line_before_keras_is_imported(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    command = [sys.executable, "-X", "importtime", "-m", "fcn", "predict", str(tmp_path / "a.png")]
    done = subprocess.run(
        [*command, "--model", "digits-fcn9s", "--out", str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert done.returncode == 1
    assert len(said) == 1
    assert said[0].startswith("error: no model 'digits-fcn9s'")
    assert not [line for line in done.stderr.splitlines() if line.endswith(" keras")]
