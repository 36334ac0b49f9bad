"""Bring archives of a data set or of weights to the raw folder, checked by size and SHA-256.

Run:
    python -m stages.download digits --out data/raw/digits --hashes data/hashes/digits.json

Complete archives are kept, an interrupted download resumes. A mirror (`FCN_MIRROR`, or `mirror:` in
params.yaml) is tried before the publisher.
"""

import os
from pathlib import Path
from typing import Annotated

from typer import Option

from fcn.cli import arguments, command_line
from fcn.common import messages
from fcn.datasets.shared import catalogue
from fcn.download import fetch
from fcn.settings import reader


def download(
    key: arguments.Key,
    out: Annotated[Path, Option(help="Folder for the archives; files already in it are kept.")],
    hashes: Annotated[
        Path,
        Option(
            help="JSON file with size (bytes) and SHA-256 of each archive: written by the first "
            "download, checked by later ones."
        ),
    ],
) -> None:
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
    command_line.run(download)
