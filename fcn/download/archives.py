"""A publisher's zip and tar files, unpacked safely into one plain folder.

Only regular files are written, each inside the folder, within limits of number and size. Single
compressed files (`.gz`) are not unpacked: the data set opens them itself.
"""

import gzip
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from fcn.common import files
from fcn.datasets.shared.archive import Archive

MEMBERS = 1_000_000
"""Most files and folders in one archive."""
UNPACKED_BYTES = 200_000_000_000
"""Most bytes of all files of one archive together."""
RATIO = 200
"""Most bytes unpacked per byte of the archive; pictures are already compressed."""
ALLOWANCE = 100_000_000
"""Bytes that every archive may unpack to, whatever its ratio."""
CHUNK = 2**20
TARS = (".tar", ".tar.gz", ".tgz")
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
)


@dataclass(frozen=True)
class Member:
    """One entry of an archive."""

    name: str
    link: str | None
    """Target of a link, relative to the archive's root; None for everything else."""
    folder: bool
    open: Callable[[], IO[bytes]] | None
    """Opens the content; for regular files only."""
    bytes: int
    """As the archive declares it; no more can be read."""


@contextmanager
def laid_out(raw: Path, required: Sequence[Archive], beside: Path) -> Iterator[Path]:
    """Yield a folder in which all files of the archives are plain files.

    This is `raw` itself if nothing has to be unpacked. Otherwise it is a temporary folder beside
    `beside`, with the unpacked files and links to everything else in `raw`.

    Raises:
        ValueError: an archive is missing, damaged, unsafe, or holds something else.
    """
    packed = [one for one in required if missing(one.unpacked, raw)]
    if not packed:
        yield raw
        return
    with files.scratch(beside) as root:
        for archive in packed:
            unpack(raw / archive.filename, root, archive.unpacked)
        by_hand = {path for one in required if one not in packed for path in one.unpacked}
        tops = {path.partition("/")[0] for one in required for path in one.unpacked}
        archived = {one.filename for one in required if one.unpacked}
        others = {path.name for path in raw.iterdir()} - tops - archived
        for name in sorted(by_hand | others):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to((raw / name).resolve())
        yield root


def missing(paths: Sequence[str], folder: Path) -> list[str]:
    """Return those of `paths` that are not in `folder`."""
    return [path for path in paths if not (folder / path).exists()]


def unpack(path: Path, folder: Path, prefixes: Sequence[str]) -> None:
    """Unpack the files under `prefixes` of the zip or tar `path` into `folder`.

    Raises:
        ValueError: it is no whole archive, a path or link leaves the folder, a limit is passed, or
            has no file under one of the prefixes.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing, and beside it {', '.join(prefixes)}")
    for member in _members(path, str(path)):
        name = posixpath.normpath(member.name)
        if member.folder or not any(name == top or name.startswith(f"{top}/") for top in prefixes):
            continue
        if member.open is None:
            raise ValueError(
                f"{path}: {member.name} is a link or a device, which is not unpacked; if you "
                f"trust it, unpack it yourself in {path.parent}"
            )
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with files.named(target), _whole(str(path)), member.open() as file, target.open("wb") as to:
            shutil.copyfileobj(file, to, CHUNK)
    if absent := missing(prefixes, folder):
        raise ValueError(f"{path} holds no {', '.join(absent)}; is it the right archive?")


def prove(path: Path, name: str) -> None:
    """Read the whole file `path`, an archive or compressed file with the final name `name`.

    Raises:
        ValueError: it was cut short, is damaged, is no archive of that kind, or is unsafe.
    """
    if path.stat().st_size == 0:
        raise ValueError(f"{name} was cut short: it is empty")
    if name.endswith(".gz") and not name.endswith(TARS):
        with _whole(name), gzip.open(path) as file:
            _read(file)
    elif name.endswith((".zip", *TARS)):
        for member in _members(path, name):
            if member.open is not None:
                with _whole(name), member.open() as file:
                    _read(file)


def _read(file: Any) -> None:
    while file.read(CHUNK):
        pass


@contextmanager
def _whole(shown: str) -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        raise ValueError(
            f"{shown} was cut short, is damaged or no such archive ({error})"
        ) from None


def _members(path: Path, shown: str) -> Iterator[Member]:
    """Yield the entries of a zip or tar, each checked before it is opened."""
    size = path.stat().st_size
    most = min(UNPACKED_BYTES, ALLOWANCE + RATIO * size)
    total = 0
    with _whole(shown):
        kind = _zip_members if shown.endswith(".zip") else _tar_members
        for number, member in enumerate(kind(path, shown), start=1):
            total += member.bytes
            if _leaves(member.name) or (member.link is not None and _leaves(member.link)):
                to = "" if member.link is None else f" -> {member.link}"
                raise ValueError(f"{shown}: {member.name}{to} leads out of the folder; refused")
            if number > MEMBERS:
                raise ValueError(f"{shown} holds more than {MEMBERS:,} files; refused as a bomb")
            if total > most:
                raise ValueError(
                    f"{shown}: {size:,} bytes would unpack to {total:,} and more, allowed: "
                    f"{most:,}; refused as a bomb"
                )
            yield member


def _leaves(name: str) -> bool:
    return name.startswith("/") or posixpath.normpath(name).partition("/")[0] == ".."


def _zip_members(path: Path, shown: str) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.flag_bits & 1:
                raise ValueError(f"{shown}: {info.filename} asks for a password")
            kind = stat.S_IFMT(info.external_attr >> 16)
            link = None
            if kind == stat.S_IFLNK:
                with archive.open(info) as file:
                    link = _link(info.filename, file.read(CHUNK).decode(errors="replace"))
            plain = kind in (0, stat.S_IFREG) and not info.is_dir()
            yield Member(
                name=info.filename,
                bytes=info.file_size,
                link=link,
                folder=info.is_dir(),
                open=partial(archive.open, info) if plain else None,
            )


def _tar_members(path: Path, shown: str) -> Iterator[Member]:
    with tarfile.open(path) as archive:
        for info in archive:
            link = _link(info.name, info.linkname) if info.issym() else info.linkname
            yield Member(
                name=info.name,
                bytes=info.size,
                link=link if info.islnk() or info.issym() else None,
                folder=info.isdir(),
                open=partial(_extract, archive, info) if info.isreg() else None,
            )
        # tarfile mistakes a truncated header for the end; the real end is a block of zeros.
        file = archive.fileobj
        assert file is not None
        if file.tell() < archive.offset + tarfile.BLOCKSIZE:
            raise tarfile.ReadError("it ends in the middle")
        _read(file)


def _extract(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(info)
    assert file is not None, "a regular file has content"
    return file


def _link(name: str, target: str) -> str:
    """Return the target of the symbolic link `name`, relative to the archive's root."""
    return posixpath.join(posixpath.dirname(name), target)
