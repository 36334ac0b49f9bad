"""The lists of code that stages depend on: for each stage a line `SHA-256  path` per file.

DVC does not follow imports, so the stage `code` writes `data/code/STAGE.txt` from them, and every
other stage of dvc.yaml has its list under `deps`: an edit reruns the stages whose list it changes.
`sha256sum --check data/code/train.txt` names the files that differ.

Modules that a stage finds by a name in the settings are not in its list: they are `deps` of their
own, such as `fcn/heads/${item.head}.py`. What they import is in the list, whichever is used.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ruamel.yaml import YAML

from fcn.code import imports
from fcn.common import files

GRAPH = Path("dvc.yaml")
FOLDER = "data/code"
FOUND_BY_NAME = {
    "fcn/datasets/shared/catalogue.py": ("datasets",),
    "fcn/network/build.py": ("backbones", "heads"),
}
"""The files that import modules by a name in the settings, and the rooms of these modules."""


def compute(root: Path = Path()) -> dict[str, str]:
    """Return the list of every stage, by the list's path.

    Raises:
        ValueError: a file is not Python, or DVC would not rerun the stage `code` after an edit of
            a file that a stage runs.
    """
    root, result = root.resolve(), {}
    graph = YAML(typ="safe").load((root / GRAPH).read_text("utf-8"))
    for entry in sorted((root / "stages").glob("[!_]*.py")):
        named = _found_by_name(entry, root)
        code = imports.code_of(entry, named)
        _require_watched(code, graph["stages"]["code"]["deps"], root)
        only_named = named - _imported(code, root)
        result[f"{FOLDER}/{entry.stem}.txt"] = "".join(_lines(code - only_named, root))
    return result


def _found_by_name(entry: Path, root: Path) -> set[Path]:
    """Return the modules that the settings can name for a stage."""
    code = imports.code_of(entry)
    rooms = (room for path in FOUND_BY_NAME if root / path in code for room in FOUND_BY_NAME[path])
    modules = {path for room in rooms for path in (root / "fcn" / room).rglob("*.py")}
    return {path for path in modules if path.stem != "__init__" and path.parent.name != "shared"}


def _imported(code: Iterable[Path], root: Path) -> set[Path]:
    return {file for path in code if path.suffix == ".py" for file in imports.imported(path, root)}


def _lines(paths: Iterable[Path], root: Path) -> Iterator[str]:
    for path in sorted(paths):
        yield f"{files.sha256(path)}  {path.relative_to(root).as_posix()}\n"


def _require_watched(code: Iterable[Path], deps: Iterable[str], root: Path) -> None:
    """Check that each file of a stage's code is under the `deps` of the stage `code`."""
    watched = [root / dep for dep in deps]
    for path in sorted(code):
        if not any(path.is_relative_to(folder) for folder in watched):
            file = path.relative_to(root)
            raise ValueError(
                f"{GRAPH}: a stage runs {file.as_posix()}, but the `deps` of the stage `code` lack "
                f"it; add {Path(*file.parts[:2]).as_posix()}"
            )


def difference(before: str, after: str) -> Iterator[str]:
    """Yield the files by which two versions of a list differ, a phrase each."""
    old, new = _digests(before), _digests(after)
    for path in sorted(old.keys() | new.keys()):
        if path not in old:
            yield f"{path} is new"
        elif path not in new:
            yield f"{path} is no longer used"
        elif old[path] != new[path]:
            yield f"{path} changed"


def _digests(text: str) -> Mapping[str, str]:
    """Return path: SHA-256 of the lines of a list."""
    lines = (line.split("  ", 1) for line in text.splitlines())
    return {path: digest for digest, path in lines}
