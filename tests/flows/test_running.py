"""Who serves a workspace."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flows import running


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(running, "FOLDER", tmp_path / ".serve")
    return tmp_path / ".serve"


@pytest.fixture
def other() -> Iterator[psutil.Process]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"]) as process:
        yield psutil.Process(process.pid)
        process.kill()


def test_one_process_serves_a_workspace(folder: Path) -> None:
    with running.claim("here", "api"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with (
            pytest.raises(ValueError, match=rf"by process {os.getpid()}: here\n.*make stop"),
            running.claim("there", "api"),
        ):
            pass
    with running.claim("again", "api"):
        pass


def test_stop_ends_the_process_that_serves(folder: Path, other: psutil.Process) -> None:
    named(folder, other.pid, other.create_time())
    assert running.stop() == f"stopped process {other.pid} and the servers that it started"
    assert not other.is_running() or other.status() == psutil.STATUS_ZOMBIE
    assert running.stop().startswith("nothing to stop")


def test_a_process_that_has_its_number_now_is_left_alone(
    folder: Path, other: psutil.Process
) -> None:
    named(folder, other.pid, other.create_time() - 1)
    assert running.stop().startswith("nothing to stop")
    assert other.is_running()
    with running.claim("here", "api"):  # what a killed one left is no obstacle
        pass


def named(folder: Path, pid: int, started: float) -> None:
    folder.mkdir()
    (folder / "running.json").write_text(
        json.dumps({"pid": pid, "started": started, "pages": "here"})
    )


def test_a_secret_is_made_once_and_for_its_owner_only(folder: Path) -> None:
    folder.mkdir()
    word, new = running.secret("password")
    assert new
    assert len(word) == 36
    assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o600
    assert running.secret("password") == (word, False)
