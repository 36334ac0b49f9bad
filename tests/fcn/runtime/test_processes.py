"""Processes that end with the process that started them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fcn.runtime import processes
from tests.waiting import gone, written

ROOT = Path(__file__).parents[3]
FAMILY = "sleep 300 & echo $! > child; wait"  # `child` has the number of a grandchild


@pytest.fixture
def started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    monkeypatch.chdir(tmp_path)
    children = []

    def start(*command: str) -> subprocess.Popen[bytes]:
        children.append(processes.start([*command], stdout=subprocess.PIPE))
        return children[-1]

    yield start
    for process in children:
        with process:
            process.terminate()


def test_exit_code_and_output_pass_through(started: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = started("sh", "-c", "echo hello; exit 7")
    assert process.stdout.read() == b"hello\n"
    assert process.wait() == 7
    assert started("sh", "-c", "kill -9 $$").wait() == 128 + 9


def test_closing_the_pipe_kills_the_process_group(
    started: Callable[..., subprocess.Popen[bytes]],
) -> None:
    process = started("sh", "-c", FAMILY)
    child = psutil.Process(int(written("child")))
    process.stdin.close()
    assert gone(child)


def test_kill_9_of_the_starter_kills_the_process_group(
    started: Callable[..., subprocess.Popen[bytes]],
) -> None:
    code = (
        f"import sys, time; sys.path.insert(0, {str(ROOT)!r}); from fcn.runtime import processes;"
        f"processes.start(['sh', '-c', {FAMILY!r}]); time.sleep(300)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code])
    child = psutil.Process(int(written("child")))
    starter.kill()
    starter.wait()
    assert gone(child)


def test_a_process_that_a_command_leaves_running_is_killed(
    started: Callable[..., subprocess.Popen[bytes]],
) -> None:
    assert started("sh", "-c", "sleep 300 & echo $! > child").wait() == 0
    assert gone(psutil.Process(int(written("child"))))


def test_after_sigterm_a_process_may_finish_its_work(
    started: Callable[..., subprocess.Popen[bytes]],
) -> None:
    process = started(
        "sh",
        "-c",
        "trap 'sleep 0.5; echo saved > done; exit 0' TERM; echo > child; sleep 300 & wait",
    )
    written("child")
    process.terminate()
    assert process.wait() == 0
    assert written("done") == "saved"


def test_a_process_that_ignores_sigterm_is_killed(
    started: Callable[..., subprocess.Popen[bytes]],
) -> None:
    process = started("sh", "-c", f"trap '' TERM; {FAMILY}")
    child = psutil.Process(int(written("child")))
    process.terminate()
    assert gone(child)
