"""dvc.lock as plain data: which inputs, settings and outputs each stage had when it last ran.

The file is YAML and documented; reading it needs no DVC. It keeps the entries of tables that are
not active, so it also shows whether an old table still belongs to the present code.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from fcn.common import files
from fcn.settings.keys import table_of

LOCK = Path("dvc.lock")


@dataclass(frozen=True)
class Ran:
    """The last run of a stage."""

    name: str
    deps: Mapping[str, str]
    """Path: MD5 as DVC writes it, of a folder with the ending `.dir`."""
    outs: Mapping[str, str]
    params: Mapping[str, Mapping[str, Any]]
    """File: dotted key: value."""

    @property
    def key(self) -> str:
        """The entry of the table file that it ran for."""
        return self.name.partition("@")[2]


def read(root: Path = Path()) -> dict[str, Ran]:
    """Return the last run of every stage, by the stage's name.

    Raises:
        ValueError: there is no dvc.lock.
    """
    path = root / LOCK
    if not path.is_file():
        raise ValueError(f"{path} is missing: nothing ran here yet; `dvc repro` makes it")
    return parse(path.read_text("utf-8"))


def parse(text: str) -> dict[str, Ran]:
    """Return the last run of every stage, by the stage's name, from the text of a dvc.lock."""
    stages = YAML(typ="safe").load(text).get("stages", {})
    return {name: _ran(name, entry) for name, entry in stages.items()}


def _ran(name: str, entry: Mapping[str, Any]) -> Ran:
    deps, outs = (
        {one["path"]: one["md5"] for one in entry.get(kind, ()) if "md5" in one}
        for kind in ("deps", "outs")
    )
    return Ran(name, deps, outs, entry.get("params", {}))


def of_table(stages: Mapping[str, Ran], table: str) -> list[Ran]:
    """Return the stages that ran for a table, in the order of the file."""
    return [ran for ran in stages.values() if table_of(ran.key) == table]


def maker(stages: Mapping[str, Ran], path: str) -> Ran | None:
    """Return the stage that makes a file or folder."""
    return next((ran for ran in stages.values() if path in ran.outs), None)


def md5(path: Path, root: Path = Path()) -> str:
    """Return the MD5 of a file or folder as DVC writes it; an empty text if there is neither.

    A folder's is the MD5 of the JSON list of its files' own, with the ending `.dir`. Files that
    `.dvcignore` in `root` names are left out, as DVC leaves them out.

    Raises:
        ValueError: `.dvcignore` holds a pattern that is not a name.
    """
    if path.is_dir():
        ignored = _ignored_names(root)
        names = sorted(
            file.relative_to(path).as_posix()
            for file in path.rglob("*")
            if file.is_file() and not _is_ignored(file.relative_to(path), ignored)
        )
        listed = [{"md5": md5(path / name), "relpath": name} for name in names]
        whole = hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False)
        return f"{whole.hexdigest()}.dir"
    if not path.is_file():
        return ""
    return files.md5(path)


def _ignored_names(root: Path) -> list[str]:
    """Return the patterns in `.dvcignore`: each fits the name of a file or folder at any depth."""
    path = root / ".dvcignore"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    patterns = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
    for pattern in patterns:
        if set(pattern) & set("/!\\"):
            raise ValueError(f"{path}: got {pattern!r}, allowed: names, such as `*.partial*`")
    return patterns


def _is_ignored(path: Path, patterns: list[str]) -> bool:
    return any(fnmatchcase(part, pattern) for part in path.parts for pattern in patterns)
