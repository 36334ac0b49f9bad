"""Locks between processes."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest

from fcn.runtime import locks

ROOT = Path(__file__).parents[3]
HOLD = """
import sys
from functools import partial
from pathlib import Path
from fcn.runtime import locks
with locks.hold(Path(sys.argv[1]), sys.argv[2], partial(print, flush=True), seconds=0.05):
    print("holding", flush=True)
    sys.stdin.read()
"""
FORK = """
import os, signal, sys, time
from pathlib import Path
from fcn.runtime import locks
with locks.hold(Path(sys.argv[1]), "parent", print):
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(3600)
    signal.pause()
"""


class Holder:
    """A process that takes the lock file and holds it until its stdin ends."""

    def __init__(self, path: Path, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path), name],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """The next line: `holding`, or the holder that it waits for."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "gpu-0"


@pytest.fixture
def holder(path: Path) -> Iterator[Holder]:
    holder = Holder(path, "first")
    assert holder.line() == "holding"
    yield holder
    holder.kill()


def test_a_second_process_reports_the_holder_once_and_waits(path: Path, holder: Holder) -> None:
    second = Holder(path, "second")
    try:
        expected = rf"first \(process {holder.process.pid}, since \d{{4}}-\d\d-\d\d \d\d:\d\d\)"
        assert re.fullmatch(expected, second.line())
        time.sleep(0.3)
        assert second.process.poll() is None
        holder.process.communicate()  # ends its stdin
        assert second.line() == "holding"
    finally:
        second.kill()


def test_kill_9_of_the_holder_frees_the_lock(path: Path, holder: Holder) -> None:
    second = Holder(path, "second")
    try:
        assert second.line().startswith("first (process ")
        holder.kill()
        assert second.line() == "holding"
        assert path.read_text().startswith(f"second (process {second.process.pid}, since ")
    finally:
        second.kill()


def test_a_forked_child_does_not_keep_the_lock_of_its_killed_parent(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FORK, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        try:
            with locks.attempt(path) as held:
                assert held
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_spawned_child_does_not_keep_the_lock(path: Path) -> None:
    with locks.hold(path, "parent", pytest.fail):
        child = get_context("spawn").Process(target=time.sleep, args=[3600])
        child.start()
    try:
        with locks.attempt(path) as held:
            assert held
    finally:
        child.kill()
        child.join()


def test_the_name_of_a_killed_holder_is_replaced(path: Path, holder: Holder) -> None:
    holder.kill()
    assert path.read_text().startswith("first (process ")
    with locks.hold(path, "second", pytest.fail):
        assert path.read_text().startswith(f"second (process {os.getpid()}, since ")
    assert path.read_text() == ""


def test_an_exception_frees_the_lock(path: Path) -> None:
    with pytest.raises(ValueError, match="no loss"), locks.hold(path, "first", pytest.fail):
        raise ValueError("no loss")
    with locks.hold(path, "second", pytest.fail):
        pass


def test_an_attempt_does_not_wait(path: Path, holder: Holder) -> None:
    with locks.attempt(path) as held:
        assert not held
    holder.kill()
    with locks.attempt(path) as held, locks.attempt(path) as held_twice:
        assert held
        assert not held_twice


def test_other_users_can_neither_read_nor_redirect_it(path: Path) -> None:
    with locks.hold(path, "first", pytest.fail):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    target = path.with_name("precious")
    target.write_text("unchanged")
    path.unlink()
    path.symlink_to(target)
    with pytest.raises(OSError, match="gpu-0"), locks.hold(path, "first", pytest.fail):
        pass
    assert target.read_text() == "unchanged"
