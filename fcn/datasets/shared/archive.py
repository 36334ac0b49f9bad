"""One file of a publisher: its address, size and checksums."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One file of a publisher, stored in `data/raw/<name>/`.

    Hashes and sizes that are not known for certain are None: the first download records them, and
    later ones must match.
    """

    url: str | None
    """`https://…`, or `package:NAME/PATH`, a file of an installed Python package; None if
    the publisher requires a login."""
    filename: str
    bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    """For publishers that give no SHA-256."""
    unpacked: tuple[str, ...] = ()
    """Files or folders that may be in `data/raw/<name>/` instead of a zip or tar; `convert` unpacks
    these and nothing else."""
    by_hand: str = ""
    """How a person gets it, if a program cannot."""

    def __post_init__(self) -> None:
        """Refuse malformed hashes: such a checksum never matches."""
        for name, digits in (("sha256", 64), ("md5", 32)):
            value = getattr(self, name)
            well = value is None or re.fullmatch(rf"[0-9a-f]{{{digits}}}", value)
            assert well, f"{self.filename}: malformed {name}"
        assert self.bytes is None or self.bytes > 0, f"{self.filename}: an archive has bytes"
        assert self.url or self.by_hand, f"{self.filename}: say where to get it"
