"""Files and folders that are either whole or not there: written aside, flushed, then renamed."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PARTIAL, OLD, SCRATCH = ".partial", ".partial-old", ".partial-scratch"


@contextmanager
def writing(path: Path, flush: bool = True) -> Iterator[Path]:
    """Give a path beside `path` to write a file to; rename it to `path` when all went well.

    Without `flush` a power failure, though no kill, may leave it empty: for what is quickly made
    again, since flushing takes a disk milliseconds.
    """
    with _aside(path) as aside:
        yield aside
        if flush:
            with aside.open("rb") as file:
                os.fsync(file.fileno())
        aside.replace(path)


@contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path`; rename it to `path` when all went well.

    What stood at `path` is replaced in the end, not emptied in the beginning.
    """
    with _aside(path) as aside, _aside(path, OLD) as old:
        aside.mkdir()
        yield aside
        # Moved away whole: a run that is killed while it deletes leaves no half of it here.
        if path.exists():
            path.rename(old)
        aside.rename(path)


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path`, gone when the block ends."""
    with _aside(path, SCRATCH) as folder:
        folder.mkdir()
        yield folder


@contextmanager
def _aside(path: Path, mark: str = PARTIAL) -> Iterator[Path]:
    """Give a name beside `path`, clear of what a killed run left, and leave nothing there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name's ending stays: libraries choose the format by it.
    aside = path.with_name(f".{path.stem}{mark}{path.suffix}")
    remove(aside)
    try:
        with named(path):
            yield aside
    finally:
        remove(aside)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Say `path` when the disk is full: writing names no file, copying the one that was read."""
    try:
        yield
    except OSError as error:
        # A person has to know which disk.
        if error.errno in FULL:
            error.filename = error.filename2 or error.filename or str(path)
        raise


def remove(path: Path) -> None:
    """Remove the file or folder `path`, if there is one; of a link, the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def require_writable(folder: Path) -> None:
    """Make sure, before the work, that its results can be put into `folder`; make it if needed.

    Raises:
        ValueError: it is a file, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with scratch(folder / "written"):
            pass
    except OSError as error:
        reason = "it is a file" if folder.is_file() else error.strerror
        raise ValueError(
            f"nothing can be written to {folder} ({reason}); name another folder with --out"
        ) from None


def require_replaceable(folder: Path, patterns: Collection[str]) -> None:
    """Make sure that `folder`, if it exists, holds only files and folders of these names.

    Raises:
        ValueError: it is a file, or something else in it would be lost.
    """
    if folder.is_file():
        raise ValueError(f"{folder} is a file; name a folder with --out")
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    others = [name for name in names if not any(fnmatchcase(name, each) for each in patterns)]
    if others:
        raise ValueError(
            f"{folder} holds other files ({', '.join(sorted(others)[:3])}) that would be "
            "replaced; name a new folder with --out"
        )


def write_bytes(path: Path, content: bytes) -> None:
    """Write what is quickly made again."""
    with writing(path, flush=False) as aside:
        aside.write_bytes(content)


def write_json(path: Path, content: Any, flush: bool = True) -> None:
    """Write `content` as indented JSON; NaN is refused, since JSON has none."""
    with writing(path, flush) as aside:
        aside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", "utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file of ours.

    Raises:
        ValueError: it is missing, or not JSON.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; `dvc repro` makes it") from None
    return parse_json(content, str(path))


def parse_json(content: bytes, name: str) -> Any:
    """Parse the content of a JSON file; `name` is for the error message.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return json.loads(content.decode("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name} is not JSON: {error}") from None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def md5(path: Path) -> str:
    """Return the MD5 of a file's bytes, in hexadecimal; DVC and MLflow's tags name files by it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
