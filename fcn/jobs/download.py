"""Fetch the archives of one data set or of weights, and record their sizes and hashes."""

import os
from pathlib import Path

from fcn.common import messages
from fcn.datasets.shared import catalogue
from fcn.download import fetch
from fcn.settings.stages import DownloadSettings


def run(key: str, settings: DownloadSettings, out: Path, hashes: Path) -> None:
    """Fetch missing archives into the folder `out`, check all, and record them in `hashes` (JSON).

    Raises:
        ValueError: an archive is not what was recorded, or a person has to fetch it.
        TryLater: a server cannot be reached.
    """
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
