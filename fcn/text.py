"""Words for people: the nearest known name, sizes in units."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which of the `known` names was probably meant, or list them all."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(known) or 'none'}"


def mebibytes(count: int) -> str:
    """Return a number of bytes as text in MiB."""
    return f"{count / 2**20:.1f} MiB"
