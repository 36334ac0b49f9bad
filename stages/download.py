"""Bring archives of a data set or of weights to the raw folder, checked by size and SHA-256.

Run:
    python -m stages.download digits --out data/raw/digits --hashes data/hashes/digits.json

It works in the folder itself: what is right stays, what broke off is gone on with. `FCN_MIRROR`, or
`mirror:` in params.yaml, is asked before the publisher.
"""

import os
from pathlib import Path

from fcn.common import messages
from fcn.datasets.shared import catalogue
from fcn.download import fetch
from fcn.settings import reader


def download(key: str, out: Path, hashes: Path) -> None:
    """Fetch what is not there, check what is, and record size and hash of all."""
    loaded = reader.load(key)
    wanted = reader.entry(loaded.table.downloads, key, "downloads")
    mirror = os.environ.get("FCN_MIRROR") or loaded.common.mirror
    by_hand = []
    for archive in catalogue.archives(wanted.module):
        try:
            one = fetch.fetch(archive, out, mirror, hashes)
        except fetch.OnlyByHand as error:
            by_hand.append(str(error))  # One message names all that a person has to bring.
            continue
        if one is None:
            messages.say(
                f"{key}: what {archive.filename} holds stands in {out}, unpacked; not checked"
            )
        else:
            fetch.record([one], hashes)  # at once: the next one may not come today
            messages.say(f"{key}: {one.filename}, {one.bytes:,} bytes, SHA-256 {one.sha256}")
    if by_hand:
        raise ValueError("\n".join(by_hand))
    fetch.record([], hashes)


if __name__ == "__main__":
    messages.main(__doc__, download, key=str, out=Path, hashes=Path)
