"""One hash over a folder of records."""

import hashlib
from pathlib import Path

from fcn.common import files


def fingerprint(folder: Path) -> str:
    """Return one SHA-256 over the names and bytes of all files in the folder."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        total.update(f"{path.name} {files.sha256(path)}\n".encode())
    return total.hexdigest()
