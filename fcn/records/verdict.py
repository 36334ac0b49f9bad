"""The verdict on a folder of records: all of the validation that training depends on.

It is a separate file and module, so that changing a report or a rule retrains nothing.
"""

from pathlib import Path

from fcn.common.files import read_json, write_json
from fcn.records.fingerprint import fingerprint


def write(verdict: Path, folder: Path) -> None:
    """Write that the records, as they are now, are valid."""
    write_json(verdict, {"records": fingerprint(folder), "verdict": "valid"})


def require_valid(verdict: Path, folder: Path) -> str:
    """Return the fingerprint of the records if they are valid.

    Raises:
        ValueError: they were not validated, or have changed since.
    """
    content = read_json(verdict)
    now = fingerprint(folder)
    if content != {"records": now, "verdict": "valid"}:
        raise ValueError(
            f"{verdict} is not about the records in {folder}: it says {content}, the records are "
            f"{now}; run `dvc repro validate`"
        )
    return now
