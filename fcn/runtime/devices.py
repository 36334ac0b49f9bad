"""One GPU, one training: a second one waits and says for whom.

A training takes a file lock for each GPU that it will use, before its backend takes their memory.
The kernel frees the locks of a process that died, however it died. Where there is no NVIDIA GPU
(or `CUDA_VISIBLE_DEVICES` hides them all) nothing is locked, and trainings run side by side.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import TextIO

from fcn.common import messages

DRIVER = Path("/dev")
"""Where NVIDIA's driver shows its GPUs: nvidia0, nvidia1, …"""
LOCKS = Path(tempfile.gettempdir()) / f"fcn-gpus-{os.getuid()}"
"""Everybody has a folder: locks keep one person's trainings apart, not one person from another."""

_reserved = ExitStack()


def gpus(driver: Path = DRIVER) -> list[str]:
    """Return the GPUs that a backend would take, without asking one: asking takes their memory.

    `CUDA_VISIBLE_DEVICES` as it is written, up to the first -1; without it, all.
    """
    present = sorted(path.name.removeprefix("nvidia") for path in driver.glob("nvidia[0-9]*"))
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None or not present:
        return present
    names = (name.strip() for name in chosen.split(","))
    return sorted(set(takewhile(lambda name: name not in ("", "-1"), names)))


def reserve(name: str) -> None:
    """Take this process' GPUs until it ends; call it before `backend.use`."""
    _reserved.enter_context(slot(name))


@contextmanager
def slot(name: str) -> Iterator[None]:
    """Hold this process' GPUs in the name of `name`, a model's key; wait until they are free."""
    with ExitStack() as held:
        for gpu in gpus():  # in one order everywhere, so that no two wait for each other
            held.enter_context(lock(LOCKS / f"gpu-{gpu}", name))
        yield


@contextmanager
def lock(path: Path, name: str, seconds: float = 1.0) -> Iterator[None]:
    """Hold the lock file `path`; look every `seconds` whether it is free, and say who has it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A link that somebody else laid there would have us write to its target.
    opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(opened, "r+", encoding="utf-8") as file:
        said = ""
        while not _taken(file):
            holder = _read(file)
            if holder and holder != said:
                messages.say(f"{name}: waits for {holder}; it has {path.name}")
                said = holder
            time.sleep(seconds)
        _write(file, f"{name} (process {os.getpid()}, since {datetime.now():%Y-%m-%d %H:%M})")
        try:
            yield
        finally:
            _write(file, "")
            fcntl.flock(file, fcntl.LOCK_UN)  # children may hold a copy of the open file


def _taken(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: TextIO) -> str:
    file.seek(0)
    return file.read()


def _write(file: TextIO, text: str) -> None:
    file.seek(0)
    file.write(text)
    file.truncate()
    file.flush()
