"""One file of a publisher: its address, size and checksums."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One file of the publisher, as it lies in `data/raw/<name>/`.

    Hashes and sizes that are not known for certain are None: the first download records them and
    later ones must match.
    """

    url: str | None
    """`https://…`, or `package:NAME/PATH`, a file inside an installed Python package; None where
    the publisher asks for a login."""
    filename: str
    bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    """Where the publisher gives only this."""
    unpacked: tuple[str, ...] = ()
    """Files or folders that may stand in `data/raw/<name>/` instead of a zip or tar; convert reads
    them, and unpacks nothing else from the archive."""
    by_hand: str = ""
    """Where a person gets it, when a program cannot."""

    def __post_init__(self) -> None:
        """Refuse a hash that cannot be one: a checksum that never matches protects nobody."""
        for name, digits in (("sha256", 64), ("md5", 32)):
            value = getattr(self, name)
            well = value is None or re.fullmatch(rf"[0-9a-f]{{{digits}}}", value)
            assert well, f"{self.filename}: malformed {name}"
        assert self.bytes is None or self.bytes > 0, f"{self.filename}: an archive has bytes"
        assert self.url or self.by_hand, f"{self.filename}: say where to get it"
