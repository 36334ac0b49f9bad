"""Fetch the archives of a data set or of weights into the raw folder; check size and SHA-256.

Run:
    python -m stages.download digits --out data/raw/digits --hashes data/hashes/digits.json

Complete archives are kept, an interrupted download resumes. A mirror (`FCN_MIRROR`, or `mirror:` in
params.yaml) is tried before the publisher.
"""

from pathlib import Path
from typing import Annotated

from typer import Option

from fcn.cli import arguments, command_line
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
    from fcn.jobs import download as job  # imports NumPy

    job.run(key, DownloadSettings.of(key), out, hashes)


if __name__ == "__main__":
    command_line.run(download)
