"""The process that serves a workspace, and its passwords."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flows.serving import state


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(state, "FOLDER", tmp_path / ".serve")
    return tmp_path / ".serve"


@pytest.fixture
def other() -> Iterator[psutil.Process]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]) as process:
        yield psutil.Process(process.pid)
        process.kill()


def test_only_one_process_serves_a_workspace(folder: Path) -> None:
    with state.register("here", "api"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with (
            pytest.raises(ValueError, match=rf"by process {os.getpid()}: here\n.*make stop"),
            state.register("there", "api"),
        ):
            pass
    with state.register("again", "api"):
        pass


def test_stop_ends_the_process_that_serves(folder: Path, other: psutil.Process) -> None:
    write_entry(folder, other.pid, other.create_time())
    assert state.stop() == f"stopped process {other.pid} and the servers that it started"
    assert not other.is_running() or other.status() == psutil.STATUS_ZOMBIE
    assert state.stop().startswith("nothing to stop")


def test_a_process_that_uses_the_number_again_is_not_ended(
    folder: Path, other: psutil.Process
) -> None:
    write_entry(folder, other.pid, other.create_time() - 1)
    assert state.stop().startswith("nothing to stop")
    assert other.is_running()
    with state.register("here", "api"):  # a file left by a killed process does not matter
        pass


def write_entry(folder: Path, pid: int, started: float) -> None:
    folder.mkdir()
    (folder / "running.json").write_text(
        json.dumps({"pid": pid, "started": started, "pages": "here"})
    )


def test_a_secret_is_made_once_and_readable_by_its_owner_only(folder: Path) -> None:
    folder.mkdir()
    password, new = state.secret("password")
    assert new
    assert len(password) == 36
    assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o600
    assert state.secret("password") == (password, False)
