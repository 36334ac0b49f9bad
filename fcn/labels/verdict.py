"""The verdict on a folder of records: all that training has to know of their validation.

A file of its own, and a module of its own: a prettier report or another rule retrains nothing.
"""

from pathlib import Path

from fcn.common.files import read_json, write_json
from fcn.records.record import fingerprint


def write(verdict: Path, folder: Path) -> None:
    """Vouch for the records as they are now."""
    write_json(verdict, {"records": fingerprint(folder), "verdict": "valid"})


def require_valid(verdict: Path, folder: Path) -> str:
    """Return the fingerprint of the records if they are the ones that were proven valid.

    Raises:
        ValueError: they are not, or were changed since.
    """
    content = read_json(verdict)
    now = fingerprint(folder)
    if content != {"records": now, "verdict": "valid"}:
        raise ValueError(
            f"{verdict} does not vouch for {folder}: it says {content}, the records are {now}; "
            "run `dvc repro validate`"
        )
    return now
