"""The folder `.serve`: which process serves this workspace, and the servers' passwords.

The process is identified by its number and its start time, because numbers are used again.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from fcn.common import files

FOLDER = Path(__file__).parents[2] / ".serve"
"""Readable only by the user who serves: databases, logs, passwords."""
STOP_SECONDS = 30.0
"""How long the servers may take to end before they are killed."""


@contextmanager
def register(pages: str, api: str) -> Iterator[None]:
    """Register this process as the one that serves this workspace.

    Args:
        pages: the addresses of the pages, for messages.
        api: the URL of Prefect's API.

    Raises:
        ValueError: another process serves it already.
    """
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    if (process := _process()) is not None:
        served_at = files.read_json(_file())["pages"]
        raise ValueError(
            f"this workspace is served already, by process {process.pid}: {served_at}\n"
            "  next step: use it, or end it with `make stop`"
        )
    own = psutil.Process()
    entry = {"pid": own.pid, "started": own.create_time(), "pages": pages, "api": api}
    files.write_json(_file(), entry)
    try:
        yield
    finally:
        files.remove(_file())


def stop() -> str:
    """End the process that serves this workspace, and everything that it started.

    Returns:
        A message for the user.
    """
    process = _process()
    if process is None:
        files.remove(_file())  # a killed process leaves it; its servers have ended with it
        return "nothing to stop: no process serves this workspace"
    process.terminate()
    if not _gone(process, STOP_SECONDS):
        process.kill()  # its servers end with it
        _gone(process, STOP_SECONDS)
    files.remove(_file())
    return f"stopped process {process.pid} and the servers that it started"


def api() -> str:
    """Return the URL of Prefect's API.

    Raises:
        ValueError: no process serves this workspace.
    """
    if _process() is None:
        raise ValueError("no process serves this workspace\n  next step: `make serve`")
    return str(files.read_json(_file())["api"])


def _file() -> Path:
    return FOLDER / "running.json"


def _gone(process: psutil.Process, seconds: float) -> bool:
    """Whether a process ends in time; a zombie has ended and only waits for its parent."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.1)
    return False


def _process() -> psutil.Process | None:
    """Return the process that the file names; None if it has ended, or its number is used again."""
    if not _file().is_file():
        return None
    entry = json.loads(_file().read_text("utf-8"))
    try:
        process = psutil.Process(entry["pid"])
        return process if process.create_time() == entry["started"] else None
    except psutil.NoSuchProcess:
        return None


def secret(name: str) -> tuple[str, bool]:
    """Return the password `name` of the private folder, and whether it was made by this call."""
    path = FOLDER / name
    if path.is_file():
        return path.read_text("utf-8"), False
    password = os.urandom(18).hex()
    with files.writing(path) as aside:
        aside.touch(mode=0o600)
        aside.write_text(password, "utf-8")
    return password, True
