"""Bring a publisher's archive to a folder: checked by size and SHA-256, then renamed into place."""

import importlib.util
import shutil
from pathlib import Path

from fcn import files
from fcn.dataset import Archive

PACKAGE = "package:"


def fetch(archive: Archive, folder: Path) -> None:
    """Put `archive` into `folder` under its file name.

    Raises:
        ValueError: the source is not there, or its size or hash is not the promised one.
    """
    source = _inside_package(archive.url.removeprefix(PACKAGE))
    with files.writing(folder / archive.filename) as aside:
        shutil.copyfile(source, aside)
        size, digest = aside.stat().st_size, files.sha256(aside)
        if (size, digest) != (archive.bytes, archive.sha256):
            raise ValueError(
                f"{archive.url}: got {size} bytes with SHA-256 {digest}, expected {archive.bytes} "
                f"bytes with {archive.sha256}; another version of it is installed or was published"
            )


def _inside_package(place: str) -> Path:
    """Return the path of `PACKAGE/PATH/TO/FILE` in an installed package, without importing it."""
    package, _, inside = place.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ValueError(f"package {package!r} is not installed; run `make setup`")
    source = Path(spec.origin).parent / inside
    if not source.is_file():
        raise ValueError(f"package {package!r} has no file {inside}; run `make setup`")
    return source
