"""Fetch the archives of a data set or of weights into the raw folder; check size and SHA-256.

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
from fcn.settings.stages import DownloadSettings


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
    """Fetch missing archives, check all, and record their sizes and hashes."""
    settings = DownloadSettings.of(key)
    mirror = os.environ.get("FCN_MIRROR") or settings.mirror
    manual = []
    for archive in catalogue.archives(settings.module):
        try:
            file = fetch.fetch(archive, out, mirror, hashes)
        except fetch.OnlyByHand as error:
            manual.append(str(error))  # One message names all files that a person has to fetch.
            continue
        if file is None:
            messages.say(f"{key}: {out} has the files of {archive.filename}, unpacked; not checked")
        else:
            fetch.record([file], hashes)  # Recorded now: the next archive may fail.
            messages.say(f"{key}: {file.filename}, {file.bytes:,} bytes, SHA-256 {file.sha256}")
    if manual:
        raise ValueError("\n".join(manual))
    fetch.record([], hashes)


if __name__ == "__main__":
    command_line.run(download)
