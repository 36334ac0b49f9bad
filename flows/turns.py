"""One flow at a time in one workspace: a second one waits, with or without a server."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

LOCK = Path(".dvc/tmp/flow.lock")
"""The kernel frees it when the process that holds it ends, in whatever way."""


@contextmanager
def turn(name: str, log: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of the workspace in the current folder; wait for it, and say for whom."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            log(f"waiting for {file.read() or 'another flow'}, which runs in this workspace")
            fcntl.flock(file, fcntl.LOCK_EX)  # a signal's handler still runs meanwhile
        file.truncate(0)
        file.write(f"{name} (process {os.getpid()}, since {datetime.now():%Y-%m-%d %H:%M})")
        file.flush()
        yield
