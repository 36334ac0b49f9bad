"""Locks between processes: files whose text says who holds them.

The kernel frees a lock when its holder ends, however it ends. A child process never keeps its
parent's lock: what is executed does not inherit the file, and `filelock` closes it after a fork.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import filelock

Acquired = Callable[[int], None]


@contextmanager
def hold(
    path: Path, name: str, report: Callable[[str], None], seconds: float = 1.0
) -> Iterator[None]:
    """Hold the lock file `path` in the name of `name`; wait while another process holds it.

    Args:
        path: made if it is missing, for this user only.
        name: written to the file, with this process and the time, until the lock is free again.
        report: called while waiting with the text of each new holder.
        seconds: between two attempts.

    Raises:
        OSError: `path` cannot be opened, or is a symbolic link: writing would reach its target.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, reported = -1, ""

    def write(text: str) -> None:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)

    def sign(opened: int) -> None:
        nonlocal descriptor
        descriptor = opened
        write(f"{name} (process {os.getpid()}, since {datetime.now():%Y-%m-%d %H:%M})")

    def report_holder() -> bool:
        nonlocal reported
        holder = path.read_text("utf-8")
        if holder and holder != reported:
            report(holder)
            reported = holder
        return False  # do not give up

    with _lock(path, sign).acquire(poll_interval=seconds, cancel_check=report_holder):
        try:
            yield
        finally:
            write("")


@contextmanager
def attempt(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` if no other process does; yield whether this one holds it.

    Raises:
        OSError: `path` cannot be opened, or is a symbolic link.
    """
    lock = _lock(path)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _lock(path: Path, acquired: Acquired | None = None) -> filelock.BaseFileLock:
    # Never a soft lock: that is a file whose existence means "held", and it outlives a `kill -9`.
    return filelock.FileLock(path, mode=0o600, fallback_to_soft=False, on_acquired=acquired)
