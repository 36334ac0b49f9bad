"""Write the code that each stage depends on into dvc.yaml, or check what is written there.

    python -m fcn.code.deps            # writes the `deps` that begin with stages/ or fcn/
    python -m fcn.code.deps --check    # exit code 1 and the difference where they are stale

DVC does not follow imports: a module that is missing under `deps` would leave old results in place
after an edit. A room whose files all matter to a stage is one dependency, other files one each.
Entries with `${...}` name a module found by the settings; they stay as they are, and what such
modules import counts for all of them.
"""

import argparse
import difflib
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from fcn.code import imports
from fcn.common import files, messages

GRAPH = Path("dvc.yaml")
STAGE = re.compile(r"  (\w+):$")
BY_NAME = re.compile(r"(fcn/\w+)/\$\{")
INDENT = " " * 8


def written(text: str) -> str:
    """Return dvc.yaml with the code under each stage's `deps` as its imports have it.

    The `deps` of a stage are a list in brackets, over several lines.
    """
    lines, stage, result = iter(text.splitlines()), "", list[str]()
    for line in lines:
        result.append(line)
        if match := STAGE.match(line):
            stage = match[1]
        if line == "      deps:":
            listed = [next(lines)]
            while not listed[-1].endswith("]"):
                listed.append(next(lines))
            entries = "".join(listed).strip(" []").split(",")
            result.append(_list(stage, [entry.strip(' "') for entry in entries]))
    return "\n".join([*result, ""])


def _list(stage: str, entries: Sequence[str]) -> str:
    """Return the `deps` of a stage: its code, modules found by name, and data as they were."""
    by_name = [entry for entry in entries if BY_NAME.match(entry)]
    data = [entry for entry in entries if not entry.startswith(("stages/", "fcn/"))]
    deps = [*_code(stage, by_name), *by_name, *data]
    quoted = (f'"{dep}"' if "$" in dep else dep for dep in deps)
    return textwrap.fill(
        f"[{', '.join(quoted)}]",
        100,
        initial_indent=INDENT,
        subsequent_indent=f"{INDENT} ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _code(stage: str, by_name: Sequence[str]) -> Iterator[str]:
    """Yield what a stage depends on: whole rooms, and single files of those it needs a part of."""
    named = {
        module
        for entry in by_name
        for module in (imports.ROOT / BY_NAME.match(entry)[1]).rglob("*.py")  # type: ignore[index]
        if module.stem != "__init__" and module.parent.name != "shared"
    }
    entry = imports.ROOT / f"stages/{stage}.py"
    code = imports.code_of(entry, named) - named
    yield f"stages/{stage}.py"
    for folder in sorted({path.parent for path in code if path != entry}):
        needed = {path for path in code if path.is_relative_to(folder)}
        if needed >= {path for path in folder.rglob("*") if _counts(path)}:
            yield folder.relative_to(imports.ROOT).as_posix()
        else:
            members = (path for path in needed if path.parent == folder)
            yield from sorted(path.relative_to(imports.ROOT).as_posix() for path in members)


def _counts(path: Path) -> bool:
    empty = path.name == "__init__.py" and not path.stat().st_size
    return path.is_file() and not empty and "__pycache__" not in path.parts


def main(arguments: list[str]) -> int:
    """Write dvc.yaml, or with `--check` compare; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m fcn.code.deps",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--check", action="store_true", help="Compare, and write nothing.")
    check = parser.parse_args(arguments).check
    before = (imports.ROOT / GRAPH).read_text("utf-8")
    after = written(before)
    if check:
        stale = list(
            difflib.unified_diff(before.splitlines(), after.splitlines(), n=1, lineterm="")
        )
        if stale:
            messages.say(
                "\n".join([f"{GRAPH}: `deps` are stale; run `python -m fcn.code.deps`", *stale])
            )
        return int(bool(stale))
    with files.writing(imports.ROOT / GRAPH) as partial:
        partial.write_text(after, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
