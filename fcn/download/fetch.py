"""One archive of a publisher, brought to a folder: found, checked, then renamed into place.

Asked in this order: what lies in the folder already, the mirror, the publisher. A mirror is a
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


class Wrong(ValueError):
    """A file is there and is not the promised one."""


class OnlyByHand(ValueError):
    """No program may fetch it: a person has to."""


def fetch(
    archive: Archive, folder: Path, mirror: str | None = None, hashes: Path | None = None
) -> Archive | None:
    """Put `archive` into `folder` under its file name; return it with its size and hash.

    Where the publisher's hash is not known, the one recorded in `hashes` must match. Where only
    unpacked files stand in `folder`, nothing is fetched and None returned.

    Raises:
        ValueError: the archive is nowhere to be had, or a source has a wrong one; what stood in
            `folder` stays. `OnlyByHand` where the publisher asks for a login.
        TryLater: a source broke off, and no other one has the archive.
    """
    archive, promise = _promised(archive, hashes)
    path = folder / archive.filename
    tried: list[str] = []
    problem: type[ValueError] = ValueError if archive.url else OnlyByHand
    if path.is_file():
        try:
            proven = prove(path, archive, str(path), promise)
        except Wrong as error:
            tried.append(str(error))
        else:
            web.forget(_partial(path))
            return proven
    elif archive.unpacked and not archives.missing(archive.unpacked, folder):
        return None
    for source in _sources(archive, folder.name, mirror):
        try:
            return _arrive(source, path, archive, promise)
        except web.Unreachable as error:
            tried.append(str(error))
            if isinstance(error, web.Broken):
                problem = messages.TryLater
    raise problem(_nowhere(archive, folder, tried))


def record(proven: Iterable[Archive], hashes: Path) -> None:
    """Write size and hash of each file to `hashes`, for later downloads to match."""
    known = files.read_json(hashes) if hashes.exists() else {}
    new = {one.filename: {"bytes": one.bytes, "sha256": one.sha256} for one in proven}
    files.write_json(hashes, known | new)


def prove(path: Path, archive: Archive, source: str, promise: str = PUBLISHED) -> Archive:
    """Return `archive` with the size and hash of the file `path`, which came from `source`.

    `promise` says whose size and hash `archive` carries.

    Raises:
        Wrong: the file is not the promised one; or nothing was promised and it is no whole archive.
    """
    with path.open("rb") as file:
        if file.read(512).lstrip().lower().startswith(PAGE):
            raise Wrong(f"{source}: a web page instead of {archive.filename}; {web.BROWSER}")
    size, sha256 = path.stat().st_size, files.sha256(path)
    got: dict[str, object] = {"bytes": size, "SHA-256": sha256}
    if archive.md5:
        got["MD5"] = pooch.file_hash(str(path), alg="md5")
    values = {"bytes": archive.bytes, "SHA-256": archive.sha256, "MD5": archive.md5}
    promised = {name: value for name, value in values.items() if value is not None}
    if any(got[name] != value for name, value in promised.items()):
        raise Wrong(
            f"{source}: not the {archive.filename} that was promised; got {_words(got)}; expected "
            f"{_words(promised)} ({promise}); it was cut short or damaged, or is another version"
        )
    if promised.keys() <= {"bytes"}:
        try:
            archives.prove(path, archive.filename)
        except ValueError as error:
            raise Wrong(f"{source}: {error}") from None
    return replace(archive, bytes=size, sha256=sha256)


def _words(parts: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in parts.items())


def _promised(archive: Archive, hashes: Path | None) -> tuple[Archive, str]:
    """Return `archive` with the recorded hash where none is published, and whose it is."""
    if archive.sha256 or hashes is None or not hashes.exists():
        return archive, PUBLISHED
    recorded = files.read_json(hashes).get(archive.filename)
    if recorded is None:
        return archive, PUBLISHED
    promise = f"recorded in {hashes} when it first came; to take another, delete its entry there"
    return replace(archive, **recorded), promise


def _sources(archive: Archive, name: str, mirror: str | None) -> Iterator[str]:
    """Yield where to look, in order: URLs, paths, `package:` places."""
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


def _arrive(source: str, path: Path, archive: Archive, promise: str) -> Archive:
    """Bring `archive` from `source`; only a break leaves a part, to be gone on with."""
    partial = _partial(path)
    begun = partial.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with files.named(path):
            _bring(source, partial)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        proven = prove(partial, archive, source, promise)
    except web.Unreachable:
        if partial.exists() and partial.stat().st_size == 0:
            web.forget(partial)
        raise
    except Wrong:
        web.forget(partial)
        if not begun:
            raise
    except OSError:
        web.forget(partial)
        raise
    else:
        partial.replace(path)
        web.forget(partial)
        return proven
    return _arrive(source, path, archive, promise)  # The part was begun with another file.


def _bring(source: str, partial: Path) -> None:
    if source.startswith(WEB):
        return web.download(source, partial)
    on_disk = _inside_package(source) if source.startswith(PACKAGE) else Path(source)
    if not on_disk.is_file():
        raise web.Unreachable(f"{source}: there is no such file")
    shutil.copyfile(on_disk, partial)


def _inside_package(source: str) -> Path:
    """Return the path of `package:NAME/PATH/TO/FILE`, without importing the package."""
    package, _, inside = source.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise web.Unreachable(f"{source}: package {package!r} is not installed; run `make setup`")
    return Path(spec.origin).parent / inside


def _nowhere(archive: Archive, folder: Path, tried: list[str]) -> str:
    """Return what is missing, where it was looked for, where to get it and where to put it."""
    path = folder / archive.filename
    state = "cannot be used" if path.exists() else "is missing"
    lines = [f"{path} {state}", *(f"tried {one}" for one in tried)]
    if archive.by_hand:
        lines.append(f"get it: {archive.by_hand}")
    lines.append(f"put it: as {path}")
    if archive.unpacked:
        lines[-1] += f", or unpacked, so that {folder} holds {', '.join(archive.unpacked)}"
        there = set(archive.unpacked) - set(archives.missing(archive.unpacked, folder))
        if there:
            lines.append(f"of these are there only: {', '.join(sorted(there))}")
    lines.append("without internet: FCN_MIRROR=FOLDER, see docs/datasets.md")
    return "\n  ".join(lines)
