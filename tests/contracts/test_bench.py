"""The contract of every measurement that is a command; a new file in bench/ needs no new test."""

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SIDE = "alternate"
"""The process of one side of a comparison; other measurements start it."""
COMMANDS = sorted(
    path.stem
    for path in (ROOT / "bench").glob("*.py")
    if "__main__" in path.read_text("utf-8") and path.stem != SIDE
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_measurement_has_the_command_line_of_the_stages(command: str) -> None:
    text = (ROOT / "bench" / f"{command}.py").read_text("utf-8")
    assert "sys.argv" not in text
    assert "    command_line.run(" in text
    assert f"python -m bench.{command}" in (ast.get_docstring(ast.parse(text)) or "")


@pytest.mark.parametrize("command", ["ceiling", "confusion", "measure", "validate"])
def test_help_is_the_docstring(command: str, help_of: Callable[[str], str]) -> None:
    text = (ROOT / "bench" / f"{command}.py").read_text("utf-8")
    words = (ast.get_docstring(ast.parse(text)) or "").split()
    assert " ".join(words) in " ".join(help_of(f"bench.{command}").split())


def test_measure_gives_a_command_its_options_and_its_exit_code() -> None:
    code = "import sys; print(sys.argv[1:]); sys.exit(3)"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench.measure"),
            *(sys.executable, "-c", code, "--help", "--seconds=3"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout.startswith("['--help', '--seconds=3']\n")
    assert " s, peak " in done.stdout
