"""Waiting for what other processes do, on machines of any speed."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")
SECONDS = 1800.0
"""Far longer than anything takes on a busy machine: who waits so long waits for something that
never comes."""
FOREVER = 2 * SECONDS
"""How long the processes of the tests live when nothing ends them."""


def wait_for(condition: Callable[[], T], seconds: float = SECONDS) -> T:
    """Wait until the condition gives something true; return that."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{condition} did not become true"
        time.sleep(0.02)
    return result


def alive(process: psutil.Process) -> bool:
    """Whether a process runs; a zombie has ended and only waits for its parent."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(*processes: psutil.Process) -> bool:
    """Wait until all these processes have ended; return that they have."""
    return wait_for(lambda: not any(map(alive, processes)))


def written(path: Path | str) -> str:
    """Wait for a file with a complete line, and return its text."""

    def complete() -> bool:
        return Path(path).exists() and Path(path).read_text("utf-8").endswith("\n")

    wait_for(complete)
    return Path(path).read_text("utf-8").strip()
