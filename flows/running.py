"""Who serves this workspace: one process, known by number and start time, ended on request."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from fcn.common import files

FOLDER = Path(__file__).parents[1] / ".serve"
"""Private to the person who serves: databases, logs, a password."""
SECONDS = 30.0
"""How long the servers may take to end, before they are killed."""


@contextmanager
def claim(pages: str, api: str) -> Iterator[None]:
    """Be the process that serves this workspace; `pages` says where, `api` is Prefect's address.

    Raises:
        ValueError: another one serves it already.
    """
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    if (process := _process()) is not None:
        where = files.read_json(_file())["pages"]
        raise ValueError(
            f"this workspace is served already, by process {process.pid}: {where}\n"
            "  next step: use it, or end it with `make stop`"
        )
    me = psutil.Process()
    known = {"pid": me.pid, "started": me.create_time(), "pages": pages, "api": api}
    files.write_json(_file(), known)
    try:
        yield
    finally:
        files.remove(_file())


def stop() -> str:
    """End the process that serves this workspace, and with it all that it started.

    Returns:
        What was done, for the person.
    """
    process = _process()
    if process is None:
        files.remove(_file())  # of a process that was killed; its servers ended with it
        return "nothing to stop: nobody serves this workspace"
    process.terminate()
    if not _gone(process, SECONDS):
        process.kill()  # its servers are tied to it
        _gone(process, SECONDS)
    files.remove(_file())
    return f"stopped process {process.pid} and the servers that it started"


def api() -> str:
    """Return the address of Prefect's API.

    Raises:
        ValueError: nobody serves this workspace.
    """
    if _process() is None:
        raise ValueError("nobody serves this workspace\n  next step: `make serve`")
    return str(files.read_json(_file())["api"])


def _file() -> Path:
    return FOLDER / "running.json"


def _gone(process: psutil.Process, seconds: float) -> bool:
    """Whether a process ends within some seconds; a zombie only waits for its parent."""
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
    """Return the process that the file names, unless it is gone or its number is another's now."""
    if not _file().is_file():
        return None
    known = json.loads(_file().read_text("utf-8"))
    try:
        process = psutil.Process(known["pid"])
        return process if process.create_time() == known["started"] else None
    except psutil.NoSuchProcess:
        return None


def secret(name: str) -> tuple[str, bool]:
    """Return a password kept in the private folder, and whether it was made just now."""
    path = FOLDER / name
    if path.is_file():
        return path.read_text("utf-8"), False
    word = os.urandom(18).hex()
    with files.writing(path) as aside:
        aside.touch(mode=0o600)
        aside.write_text(word, "utf-8")
    return word, True
