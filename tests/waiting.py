"""Waiting for what other processes do, with deadlines that a busy machine meets."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil

SECONDS = 300.0
"""Longer than anything takes on a busy machine."""
GONE_SECONDS = 120.0
"""Shorter than the processes of the tests live when nothing ends them (300 s)."""


def becomes_true(condition: Callable[[], object], seconds: float = SECONDS) -> bool:
    """Whether the condition becomes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def alive(process: psutil.Process) -> bool:
    """Whether a process runs; a zombie has ended and only waits for its parent."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(*processes: psutil.Process) -> bool:
    """Whether all these processes end in time."""
    return becomes_true(lambda: not any(map(alive, processes)), GONE_SECONDS)


def written(path: Path | str) -> str:
    """Wait for a file with a complete line, and return its text."""

    def complete() -> bool:
        return Path(path).exists() and Path(path).read_text().endswith("\n")

    assert becomes_true(complete), f"{path} was not written"
    return Path(path).read_text().strip()
