"""Names in messages and of files."""

import difflib
import hashlib
import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path

MOST_NAMES = 5000
"""Names of a folder that are compared with a missing one: comparing takes up to 0.1 ms a name."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint: the `known` name that is near `name`, or all of them if none is."""
    known = sorted(known)
    near = similar(name, known)
    return f"did you mean {near!r}?" if near else f"known: {', '.join(known) or 'none'}"


def similar(name: str, known: Iterable[str]) -> str | None:
    """Return the `known` name that is most similar to `name`, whatever its case, or None."""
    folded = {each.casefold(): each for each in known}
    matches = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[matches[0]] if matches else None


def nearest_path(path: Path) -> str:
    """Return a hint for a path that does not exist: the most similar path, or an empty text.

    Of a path whose folder is missing too, the first missing folder is compared.
    """
    missing = path
    while not missing.parent.is_dir():
        missing = missing.parent
    names: list[str] = []
    with suppress(OSError):  # a folder that may not be read
        names = sorted(entry.name for entry in islice(missing.parent.iterdir(), MOST_NAMES))
    near = similar(missing.name, names)
    if near is None:
        return ""
    whole = missing.parent / near / path.relative_to(missing)
    return f"; did you mean {str(whole if whole.exists() else missing.parent / near)!r}?"


def file_name(name: str, *, ascii_only: bool = True) -> str:
    """Return a short file name for an id; different ids give different names."""
    plain = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII if ascii_only else re.NOFLAG)[:80]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
