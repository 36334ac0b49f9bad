"""Pictures of an inbox that a run has claimed: each belongs to one run, even after a `kill -9`.

A run claims a picture by moving it into its own folder OUTBOX/claimed/RUN. A rename is atomic, so
only one of two runs succeeds. The run holds a lock on its folder, which the kernel frees when the
run ends. The next run adopts the pictures in folders that no run holds.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fcn.common import files
from fcn.common.text import nearest_path
from fcn.runtime import locks

LOCK = ".lock"
BATCH = 200
"""Pictures for one prediction process, which takes ten seconds to import Keras."""
SETTLED_SECONDS = 2.0
"""A file that changed less than this ago may still be written."""


def require_inbox(inbox: Path) -> None:
    """Check that the inbox exists.

    Raises:
        ValueError: it is no folder.
    """
    if not inbox.is_dir():
        hint = "" if inbox.exists() else nearest_path(inbox)
        raise ValueError(f"the inbox {inbox} is not a folder; make it, or name another{hint}")


def prepare(inbox: Path, outbox: Path) -> None:
    """Make the outbox and its folders.

    Raises:
        ValueError: the inbox is missing, or the outbox is not writable or is on another disk.
    """
    require_inbox(inbox)
    files.require_writable(outbox)
    if inbox.stat().st_dev != outbox.stat().st_dev:
        raise ValueError(
            f"{inbox} and {outbox} are on two disks, and a file cannot be renamed from one to the "
            "other; name an outbox on the disk of the inbox"
        )
    for name in ("done", "failed", "claimed"):
        (outbox / name).mkdir(exist_ok=True)


@contextmanager
def folder(outbox: Path) -> Iterator[Path]:
    """Yield a locked folder for this run's claims; it is removed at the end if it is empty."""
    name = uuid.uuid4().hex
    hidden = outbox / "claimed" / f".{name}"  # other runs ignore it until it is locked
    hidden.mkdir()
    with locks.attempt(hidden / LOCK) as held:
        assert held, f"another run holds the new folder {hidden}"
        claims = hidden.rename(outbox / "claimed" / name)
        try:
            yield claims
        finally:
            _remove_if_empty(claims)


def pictures(claims: Path) -> list[Path]:
    """Return the claimed pictures in order; each is in a folder of its own name."""
    paths = (entry / entry.name for entry in sorted(claims.iterdir()))
    return [path for path in paths if path.is_file()]


def adopt(claims: Path) -> int:
    """Take over the claims of runs that were killed; return the number of pictures."""
    number = 0
    for abandoned in sorted(claims.parent.glob("[!.]*")):
        if abandoned == claims:
            continue
        with locks.attempt(abandoned / LOCK) as held:
            if held:  # otherwise its run is alive
                for picture in pictures(abandoned):
                    if not (claims / picture.name).exists():
                        picture.parent.rename(claims / picture.name)
                        number += 1
                _remove_if_empty(abandoned)
    return number


def claim(inbox: Path, claims: Path) -> int:
    """Move up to BATCH pictures out of the inbox and return their number.

    If all pictures were written just now, wait until one has settled.
    """
    number, unsettled = 0, True
    while not number and unsettled:
        unsettled = False
        for picture in sorted(inbox.iterdir()):
            if number == BATCH:
                break
            target = claims / picture.name
            try:
                if picture.name.startswith(".") or not picture.is_file() or target.exists():
                    continue
                if time.time() - picture.stat().st_mtime < SETTLED_SECONDS:
                    unsettled = True
                    continue
                target.mkdir()
                picture.rename(target / picture.name)
                number += 1
            except FileNotFoundError:  # another run has claimed it
                if target.is_dir():
                    target.rmdir()
        if not number and unsettled:
            time.sleep(SETTLED_SECONDS / 4)
    return number


def give_back(claims: Path, inbox: Path) -> None:
    """Move the claimed pictures back into the inbox, except where a new one has the same name."""
    for picture in pictures(claims):
        if not (inbox / picture.name).exists():
            picture.rename(inbox / picture.name)
            files.remove(picture.parent)


def _remove_if_empty(claims: Path) -> None:
    """Remove a folder of claims without pictures; the caller holds its lock."""
    if not pictures(claims):
        # Renamed first: another run that tries the lock meanwhile would put a new file into it.
        files.remove(claims.rename(claims.with_name(f".{uuid.uuid4().hex}")))
