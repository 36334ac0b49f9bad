"""One archive of a publisher: fetched into a folder, checked, then renamed into place.

Sources in this order: the folder itself, the mirror, the publisher. A mirror is a
folder or URL that holds `<name of the folder>/<file name>`, as `data/raw/` does, or `<file name>`.
"""

import importlib.util
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pooch

from fcn.common import files, messages
from fcn.datasets.shared.archive import Archive
from fcn.download import archives, web

PACKAGE = "package:"
WEB = ("http://", "https://")
PUBLISHED = "as published"
PAGE = (b"<!doctype html", b"<html")


class WrongFile(ValueError):
    """A file is not the expected one."""


class OnlyByHand(ValueError):
    """The publisher requires a login: a person has to fetch it."""


def fetch(
    archive: Archive, folder: Path, mirror: str | None = None, hashes: Path | None = None
) -> Archive | None:
    """Put `archive` into `folder` under its file name; return it with its size and hash.

    Without a published hash, the one recorded in `hashes` must match. If `folder` holds the
    unpacked files instead, nothing is fetched and None is returned.

    Raises:
        ValueError: no source has the archive, or a source has a wrong one; files in `folder`
            stay. `OnlyByHand` if the publisher requires a login.
        TryLater: a source was interrupted, and no other has the archive.
    """
    archive, hash_source = _expected(archive, hashes)
    path = folder / archive.filename
    tried: list[str] = []
    problem: type[ValueError] = ValueError if archive.url else OnlyByHand
    if path.is_file():
        try:
            proven = prove(path, archive, str(path), hash_source)
        except WrongFile as error:
            tried.append(str(error))
        else:
            web.discard(_partial(path))
            return proven
    elif archive.unpacked and not archives.missing(archive.unpacked, folder):
        return None
    for source in _sources(archive, folder.name, mirror):
        try:
            return _fetch_from(source, path, archive, hash_source)
        except web.Unreachable as error:
            tried.append(str(error))
            if isinstance(error, web.Broken):
                problem = messages.TryLater
    raise problem(_instructions(archive, folder, tried))


def record(proven: Iterable[Archive], hashes: Path) -> None:
    """Write size and hash of each file to `hashes`, for later downloads to match."""
    recorded = files.read_json(hashes) if hashes.exists() else {}
    new = {
        archive.filename: {"bytes": archive.bytes, "sha256": archive.sha256} for archive in proven
    }
    files.write_json(hashes, recorded | new)


def prove(path: Path, archive: Archive, source: str, hash_source: str = PUBLISHED) -> Archive:
    """Return `archive` with the size and hash of the file `path`, which came from `source`.

    `hash_source` tells where the size and hash in `archive` come from, for the message.

    Raises:
        WrongFile: the file is not the expected one, or, without a hash, no complete archive.
    """
    with path.open("rb") as file:
        if file.read(512).lstrip().lower().startswith(PAGE):
            raise WrongFile(f"{source}: a web page instead of {archive.filename}; {web.BROWSER}")
    size, sha256 = path.stat().st_size, files.sha256(path)
    got: dict[str, object] = {"bytes": size, "SHA-256": sha256}
    if archive.md5:
        got["MD5"] = pooch.file_hash(str(path), alg="md5")
    values = {"bytes": archive.bytes, "SHA-256": archive.sha256, "MD5": archive.md5}
    expected = {name: value for name, value in values.items() if value is not None}
    if any(got[name] != value for name, value in expected.items()):
        raise WrongFile(
            f"{source}: not the expected {archive.filename}; got {_words(got)}; expected "
            f"{_words(expected)} ({hash_source}); it was cut short or damaged, or is "
            f"another version"
        )
    if expected.keys() <= {"bytes"}:
        try:
            archives.prove(path, archive.filename)
        except ValueError as error:
            raise WrongFile(f"{source}: {error}") from None
    return replace(archive, bytes=size, sha256=sha256)


def _words(parts: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in parts.items())


def _expected(archive: Archive, hashes: Path | None) -> tuple[Archive, str]:
    """Return `archive` with its published or recorded hash, and the source of that hash."""
    if archive.sha256 or hashes is None or not hashes.exists():
        return archive, PUBLISHED
    recorded = files.read_json(hashes).get(archive.filename)
    if recorded is None:
        return archive, PUBLISHED
    hash_source = (
        f"recorded in {hashes} by the first download; to accept another file, delete its entry "
        f"there"
    )
    return replace(archive, **recorded), hash_source


def _sources(archive: Archive, name: str, mirror: str | None) -> Iterator[str]:
    """Yield the sources in order: URLs, paths, `package:` paths."""
    if mirror is not None:
        on_web = mirror.startswith(WEB)
        if "://" in mirror and not on_web:
            raise ValueError(f"mirror {mirror!r}: allowed: a folder, or a URL with http(s)://")
        base = mirror.rstrip("/") if on_web else str(Path(mirror).expanduser())
        filename = quote(archive.filename) if on_web else archive.filename
        yield f"{base}/{name}/{filename}"
        yield f"{base}/{filename}"
    if archive.url is not None:
        yield archive.url


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}{files.PARTIAL}")


def _fetch_from(source: str, path: Path, archive: Archive, hash_source: str) -> Archive:
    """Fetch `archive` from `source`; only an interruption leaves a partial file, to resume from."""
    partial = _partial(path)
    resumed = partial.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with files.named(path):
            _copy(source, partial)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        proven = prove(partial, archive, source, hash_source)
    except web.Unreachable:
        if partial.exists() and partial.stat().st_size == 0:
            web.discard(partial)
        raise
    except WrongFile:
        web.discard(partial)
        if not resumed:
            raise
    except OSError:
        web.discard(partial)
        raise
    else:
        partial.replace(path)
        web.discard(partial)
        return proven
    return _fetch_from(
        source, path, archive, hash_source
    )  # The partial file was of another version.


def _copy(source: str, partial: Path) -> None:
    if source.startswith(WEB):
        return web.download(source, partial)
    on_disk = _inside_package(source) if source.startswith(PACKAGE) else Path(source)
    if not on_disk.is_file():
        raise web.Unreachable(f"{source}: no such file")
    shutil.copyfile(on_disk, partial)


def _inside_package(source: str) -> Path:
    """Return the path of `package:NAME/PATH/TO/FILE`, without importing the package."""
    package, _, inside = source.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise web.Unreachable(f"{source}: package {package!r} is not installed")
    return Path(spec.origin).parent / inside


def _instructions(archive: Archive, folder: Path, tried: list[str]) -> str:
    """Return what is missing, which sources were tried, where to get it and where to put it."""
    path = folder / archive.filename
    state = "cannot be used" if path.exists() else "is missing"
    lines = [f"{path} {state}", *(f"tried {attempt}" for attempt in tried)]
    if archive.by_hand:
        lines.append(f"get it: {archive.by_hand}")
    lines.append(f"put it: as {path}")
    if archive.unpacked:
        lines[-1] += f", or unpacked, so that {folder} holds {', '.join(archive.unpacked)}"
        present = set(archive.unpacked) - set(archives.missing(archive.unpacked, folder))
        if present:
            lines.append(f"of these, only {', '.join(sorted(present))} exist")
    lines.append("without internet: FCN_MIRROR=FOLDER, see docs/datasets.md")
    return "\n  ".join(lines)
