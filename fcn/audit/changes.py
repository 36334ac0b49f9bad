"""What differs now from a stage's last run: its code and its settings."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from fcn.code import lists
from fcn.settings import dvc_lock
from fcn.settings.dvc_lock import Ran

SOURCES = ("fcn/", "tables/")
"""The folders of files that people write and that are dependencies themselves: modules that a stage
finds by a name in the settings, and table files. Others are data, made by stages or brought."""


def find(ran: Ran, code: Mapping[str, str], root: Path = Path()) -> Iterator[str]:
    """Yield what changed since a stage ran, a phrase each.

    Args:
        ran: the last run.
        code: the lists of code as they are now (`lists.compute`); those in data/code are from the
            last run of the stage `code`.
        root: of the project.
    """
    for path, recorded in ran.deps.items():
        if path.startswith(SOURCES) and dvc_lock.md5(root / path, root) != recorded:
            yield f"{path} {'changed' if (root / path).exists() else 'is missing'}"
        elif path.startswith(f"{lists.FOLDER}/"):
            yield from _changed_code(path, recorded, code.get(path, ""), root)
    for name, values in ran.params.items():
        file = root / name
        now = YAML(typ="safe").load(file.read_text("utf-8")) if file.is_file() else {}
        for key, recorded in values.items():
            if _value(now, key) != recorded:
                yield f"{key} in {name} changed"


def _changed_code(path: str, recorded: str, now: str, root: Path) -> Iterator[str]:
    """Yield the files by which a list differs from the one that the stage ran with."""
    if hashlib.md5(now.encode(), usedforsecurity=False).hexdigest() == recorded:
        return
    if dvc_lock.md5(root / path, root) == recorded:
        yield from lists.difference((root / path).read_text("utf-8"), now)
    else:  # The stage `code` has run since; the old list is gone.
        yield f"{path} changed"


def _value(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree
