"""Names in messages and of files."""

import difflib
import hashlib
import re
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint: the `known` name that is nearest to `name`, or all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(known) or 'none'}"


def file_name(name: str, *, ascii_only: bool = True) -> str:
    """Return a short file name for an id; different ids give different names."""
    plain = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII if ascii_only else re.NOFLAG)[:80]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
