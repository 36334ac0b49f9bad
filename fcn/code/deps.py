"""Write the code that each stage depends on into dvc.yaml, or check what is written there.

    python -m fcn.code.deps            # writes the `deps` that begin with stages/ or fcn/
    python -m fcn.code.deps --check    # exit code 1 and the difference where they are stale

DVC does not follow imports: a module that is missing under `deps` would leave old results in place
after an edit. A room whose files all matter to a stage is one dependency, other files one each.
Entries with `${...}` name a module found by the settings; they stay as they are, and what such
modules import counts for all of them.
"""

import difflib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from fcn.code import imports
from fcn.common import files, messages

GRAPH = Path("dvc.yaml")
CODE = re.compile(r" {8}- (?:stages|fcn)/\S+")
BY_NAME = re.compile(r" {8}- (fcn/\w+)/\$\{")
STAGE = re.compile(r"  (\w+):$")


def written(text: str) -> str:
    """Return dvc.yaml with the code under each stage's `deps` as its imports have it."""
    lines, stage, out = text.splitlines(), "", list[str]()
    for number, line in enumerate(lines):
        if match := STAGE.match(line):
            stage = match[1]
        if line == "      deps:":
            block = _block(lines, number + 1)
            by_name = [one for one in block if BY_NAME.match(one)]
            out += [line, *(f"        - {path}" for path in _code(stage, by_name)), *by_name]
        elif not CODE.fullmatch(line):
            out.append(line)
    return "\n".join([*out, ""])


def _block(lines: list[str], first: int) -> list[str]:
    rest = iter(lines[first:])
    block = []
    for line in rest:
        if not line.startswith("        "):
            break
        block.append(line)
    return block


def _code(stage: str, by_name: list[str]) -> Iterator[str]:
    """Yield what a stage depends on: whole rooms, and single files of those it needs a part of."""
    named = {
        module
        for line in by_name
        for module in (imports.ROOT / BY_NAME.match(line)[1]).rglob("*.py")  # type: ignore[index]
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
    before = (imports.ROOT / GRAPH).read_text("utf-8")
    after = written(before)
    if arguments == ["--check"]:
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
