"""The contract of every command's help: stages, flows, `python -m fcn`, and the benchmarks."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from fcn.__main__ import COMMANDS

ROOT = Path(__file__).parents[2]
ENTRIES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for folder in ("stages", "flows", "bench")
    for path in (ROOT / folder).rglob("*.py")
    if "    command_line.run(" in path.read_text("utf-8")
)
ALL = [*ENTRIES, "fcn", *(f"fcn {command.__name__}" for command in COMMANDS)]
LIGHT = [name for name in ALL if name.startswith(("stages.", "fcn"))]
ENTRY = re.compile(r"  (\S+(?: \S+)*)(?:  +(\S.*))?")


@cache
def help_of(name: str, columns: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *name.split(), "--help"],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": str(columns)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "Traceback" not in done.stdout
    return done.stdout


@pytest.mark.parametrize("name", ALL)
def test_every_argument_is_described_and_no_line_is_too_long(name: str) -> None:
    text = help_of(name, 80)
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert text.startswith(("Usage: python -m ", "Usage: fcn "))
    lines = iter(re.split(r"^(?:Arguments|Options|Commands):\n", text, flags=re.MULTILINE)[1:])
    entries = [line for section in lines for line in section.splitlines()]
    assert entries
    for line, following in zip(entries, [*entries[1:], ""], strict=True):
        if match := ENTRY.fullmatch(line):
            assert match[2] or following.startswith(" " * 8), line


@pytest.mark.parametrize("name", LIGHT)
def test_a_wide_terminal_is_used_up_to_100_columns(name: str) -> None:
    wide, wider = help_of(name, 100).splitlines(), help_of(name, 300).splitlines()
    assert max(map(len, wide)) <= 100
    assert wide == wider
