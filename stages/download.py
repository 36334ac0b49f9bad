"""Bring a data set's archives to its raw folder, checked by size and SHA-256.

Run:
    python -m stages.download digits --out data/raw/digits
"""

from pathlib import Path

from fcn import dataset, door, fetch, files, settings


def download(key: str, out: Path) -> None:
    """Fetch every archive of the data set; nothing stands at `out` before all are right."""
    download = settings.entry(settings.load(key).table.downloads, key, "downloads")
    with files.writing_folder(out) as folder:
        for archive in dataset.load(download.module).archives:
            fetch.fetch(archive, folder)
            door.say(f"{key}: {archive.filename}, {archive.bytes:,} bytes, SHA-256 as expected")


if __name__ == "__main__":
    door.main(__doc__, download, key=str, out=Path)
