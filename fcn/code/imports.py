"""Which code a stage runs: the files that its entry imports, directly or not.

One rule for everyone who asks: the lists of code that stages depend on (`fcn.code.lists`), the
digest of a training's checkpoints, and the tests. Rooms that cannot change a result are not
followed.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULT_FREE = ("cli", "code", "common", "runtime", "settings", "tracking")
"""Rooms of fcn/ through which no result goes: they read settings (whose values DVC tracks one by
one), place files, run processes, log and print. A test holds them to it."""
ROOMS = ROOT / "fcn"


def code_of(entry: Path, found_by_name: Iterable[Path] = ()) -> frozenset[Path]:
    """Return the files that determine what a stage writes.

    Args:
        entry: the stage's file, `stages/NAME.py` in the root of a project.
        found_by_name: modules that it imports by a name in the settings (heads, data sets).

    Returns:
        Absolute paths of Python files, and of all other files in their rooms (templates).

    Raises:
        ValueError: a file is not Python.
    """
    root = entry.parents[1]
    todo, code = {entry, *found_by_name}, set[Path]()
    while todo:
        path = todo.pop()
        if path not in code and not _result_free(path.relative_to(root)):
            code.add(path)
            todo |= imported(path, root)
    rooms = {path.parent for path in code if path.is_relative_to(root / "fcn")}
    return frozenset(code.union(*map(_resources, rooms)))


def fingerprint(entry: Path, found_by_name: Iterable[Path] = ()) -> str:
    """Return the SHA-256 over names and contents of `code_of`, in hexadecimal."""
    total = hashlib.sha256()
    for path in sorted(code_of(entry, found_by_name)):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(entry.parents[1]).as_posix()} {content}\n".encode())
    return total.hexdigest()


def imported(path: Path, root: Path) -> frozenset[Path]:
    """Return the project's files that a Python file imports, anywhere in it.

    Raises:
        ValueError: the file is not Python.
    """
    try:
        return _imported(path.read_text("utf-8"), root)
    except SyntaxError as error:
        raise ValueError(f"{path}:{error.lineno}: {error.msg}") from error


@cache
def _imported(source: str, root: Path) -> frozenset[Path]:
    names = set(_imported_names(ast.parse(source)))
    packages = {name.rpartition(".")[0] for name in names}
    files = {root / f"{name.replace('.', '/')}.py" for name in names}
    # An __init__.py that only makes the folder a package determines nothing.
    inits = {root / name.replace(".", "/") / "__init__.py" for name in names | packages if name}
    return frozenset(
        [
            *(f for f in files if f.is_file()),
            *(f for f in inits if f.is_file() and f.stat().st_size),
        ]
    )


def _result_free(path: Path) -> bool:
    return path.parts[0] == "fcn" and path.parts[1] in RESULT_FREE


def _imported_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        else:
            yield from _imported_names(node)


def _resources(folder: Path) -> set[Path]:
    """Return the files of a room that are not Python: what a template says is in the result."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {file for file in files if file.suffix != ".py" and "__pycache__" not in file.parts}
