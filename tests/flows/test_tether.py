"""Processes that end with whoever started them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from flows import tether

FAMILY = "sleep 300 & echo $! > child; wait"  # `child` is the grandchild of the tether


@pytest.fixture
def started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    monkeypatch.chdir(tmp_path)
    processes = []

    def start(*command: str) -> subprocess.Popen[bytes]:
        processes.append(tether.start([*command], stdout=subprocess.PIPE))
        return processes[-1]

    yield start
    for process in processes:
        with process:
            process.terminate()


def test_exit_code_and_output_pass_through(started: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = started("sh", "-c", "echo hello; exit 7")
    assert process.stdout.read() == b"hello\n"
    assert process.wait() == 7
    assert started("sh", "-c", "kill -9 $$").wait() == 128 + 9


def test_the_end_of_the_pipe_kills_the_family(
    started: Callable[..., subprocess.Popen[bytes]],
    written: Callable[[str], str],
    gone: Callable[..., bool],
) -> None:
    process = started("sh", "-c", FAMILY)
    child = psutil.Process(int(written("child")))
    process.stdin.close()
    assert gone(child)


def test_kill_9_of_the_starter_kills_the_family(
    started: Callable[..., subprocess.Popen[bytes]],
    written: Callable[[str], str],
    gone: Callable[..., bool],
) -> None:
    root = Path(tether.__file__).parents[1]
    code = (
        f"import sys, time; sys.path.insert(0, {str(root)!r}); from flows import tether;"
        f"tether.start(['sh', '-c', {FAMILY!r}]); time.sleep(300)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code])
    child = psutil.Process(int(written("child")))
    starter.kill()
    starter.wait()
    assert gone(child)


def test_what_a_command_leaves_behind_ends_with_it(
    started: Callable[..., subprocess.Popen[bytes]],
    written: Callable[[str], str],
    gone: Callable[..., bool],
) -> None:
    assert started("sh", "-c", "sleep 300 & echo $! > child").wait() == 0
    assert gone(psutil.Process(int(written("child"))))


def test_a_family_may_finish_what_it_does_when_it_is_asked_to_end(
    started: Callable[..., subprocess.Popen[bytes]], written: Callable[[str], str]
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


def test_a_family_that_will_not_end_is_killed(
    started: Callable[..., subprocess.Popen[bytes]],
    written: Callable[[str], str],
    gone: Callable[..., bool],
) -> None:
    process = started("sh", "-c", f"trap '' TERM; {FAMILY}")
    child = psutil.Process(int(written("child")))
    process.terminate()
    assert gone(child)
