"""Settings of one run (`--set FILE:KEY=VALUE`), as `dvc exp run -S` takes them.

They are checked in a copy of the settings files, so that a typo is refused before anything runs.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from fcn.common.text import nearest_path, similar
from fcn.settings import reader

ALLOWED = (
    "allowed: FILE:KEY=VALUE, such as tables/digits.yaml:models.digits-fcn8s.training.epochs=3"
)


def require_valid(settings: Sequence[str]) -> None:
    """Check settings against the files in the current folder, without changing these.

    Raises:
        ValueError: a setting is malformed, its file or key does not exist, or its value is not
            allowed.
    """
    tables = set(reader.active())
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        if reader.TABLES.is_dir():
            shutil.copytree(reader.TABLES, root / reader.TABLES)
            shutil.copy(reader.PARAMS, root)
        for file, changes in to_path_overrides(settings).items():
            path = Path(file)
            if not path.is_file():
                raise _error(f"there is no file {file}", nearest_path(path))
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / path)
            _apply(root / path, changes)
            tables |= {path.stem} if path.parent == reader.TABLES else set()
        for table in sorted(tables):
            reader.load(table, root)


def apply(settings: Sequence[str], root: Path) -> None:
    """Write settings that `require_valid` has accepted into the files below `root`."""
    for file, changes in to_path_overrides(settings).items():
        apply_overrides(root / file, changes)


def _apply(path: Path, changes: Sequence[str]) -> None:
    for change in changes:
        try:
            apply_overrides(path, [change])
        except DvcException as error:
            key = change.partition("=")[0]
            keys = list(_keys(YAML(typ="safe", pure=True).load(path.read_text("utf-8"))))
            near = similar(key, keys) if key not in keys else None
            reason = str(error.__cause__ or error).partition("\n")[0].removesuffix(".")
            raise _error(reason, f"; did you mean {near!r}?" if near else "") from None


def _keys(tree: Any, above: str = "") -> Iterator[str]:
    """Yield the dotted key of each setting and each group."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield f"{above}{name}"
            yield from _keys(value, f"{above}{name}.")


def _error(reason: str, hint: str) -> ValueError:
    return ValueError(f"settings for this run: {reason}; {ALLOWED}{hint}")
