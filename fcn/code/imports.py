"""Which code a stage runs: the files that its entry imports, directly or not.

One rule for everyone who asks: the `deps` of dvc.yaml (`fcn.code.deps`), the digest of a training's
checkpoints, and the tests. Rooms that cannot change a result are not followed.
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
        entry: the stage's file, `stages/NAME.py`.
        found_by_name: modules that it imports by a name in the settings (heads, data sets).

    Returns:
        Absolute paths of Python files, and of all other files in their rooms (templates).
    """
    todo, code = {entry, *found_by_name}, set[Path]()
    while todo:
        path = todo.pop()
        if path not in code and not _result_free(path):
            code.add(path)
            todo |= _imports(path)
    return frozenset(code | {file for path in code for file in _resources(path.parent)})


def fingerprint(entry: Path, found_by_name: Iterable[Path] = ()) -> str:
    """Return the SHA-256 over names and contents of `code_of`, in hexadecimal."""
    total = hashlib.sha256()
    for path in sorted(code_of(entry, found_by_name)):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(ROOT).as_posix()} {content}\n".encode())
    return total.hexdigest()


def _result_free(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return parts[0] == "fcn" and parts[1] in RESULT_FREE


@cache
def _imports(path: Path) -> frozenset[Path]:
    """Return the project's files that a Python file imports, anywhere in it."""
    names = set(_imported_names(ast.parse(path.read_text("utf-8"))))
    packages = {name.rpartition(".")[0] for name in names}
    files = {ROOT / f"{name.replace('.', '/')}.py" for name in names}
    # An __init__.py that only makes the folder a package determines nothing.
    inits = {ROOT / name.replace(".", "/") / "__init__.py" for name in names | packages if name}
    return frozenset(
        [
            *(f for f in files if f.is_file()),
            *(f for f in inits if f.is_file() and f.stat().st_size),
        ]
    )


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


@cache
def _resources(folder: Path) -> frozenset[Path]:
    """Return the files of a room that are not Python: what a template says is in the result."""
    if not folder.is_relative_to(ROOMS):
        return frozenset()
    files = (path for path in folder.rglob("*") if path.is_file())
    return frozenset(f for f in files if f.suffix != ".py" and "__pycache__" not in f.parts)
