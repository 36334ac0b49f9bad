"""The contract of every command's help: stages, flows, `python -m fcn`, and the benchmarks."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
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
WIDE = """
import contextlib, io, json, os, runpy, sys
texts = {}
for name in sys.argv[1:]:
    for columns in ("100", "300"):
        os.environ["COLUMNS"] = columns
        sys.argv = [*name.split(), "--help"]
        with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        texts.setdefault(name, []).append(shown.getvalue())
print(json.dumps(texts))
"""
"""Prints the help of the commands in two widths, all in one process."""


@pytest.fixture(scope="module")
def wide_help() -> dict[str, list[str]]:
    """The help of each light command in 100 and in 300 columns."""
    command = [sys.executable, "-c", WIDE, *LIGHT]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ALL)
def test_every_argument_is_described_and_no_line_is_too_long(
    name: str, help_of: Callable[[str], str]
) -> None:
    text = help_of(name)
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert text.startswith(("Usage: python -m ", "Usage: fcn "))
    lines = iter(re.split(r"^(?:Arguments|Options|Commands):\n", text, flags=re.MULTILINE)[1:])
    entries = [line for section in lines for line in section.splitlines()]
    assert entries
    for line, following in zip(entries, [*entries[1:], ""], strict=True):
        if match := ENTRY.fullmatch(line):
            assert match[2] or following.startswith(" " * 8), line


@pytest.mark.parametrize("name", LIGHT)
def test_a_wide_terminal_is_used_up_to_100_columns(
    name: str, wide_help: dict[str, list[str]]
) -> None:
    wide, wider = wide_help[name]
    assert 80 < max(map(len, wide.splitlines())) <= 100
    assert wide == wider
