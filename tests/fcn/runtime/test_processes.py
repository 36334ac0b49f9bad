"""Processes that end with the process that started them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fcn.runtime import processes
from tests.waiting import alive, gone, wait_for, written

ROOT = Path(__file__).parents[3]
FAMILY = "sleep 3600 & echo $! > child; wait"  # `child` has the number of a grandchild


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
        f"processes.start(['sh', '-c', {FAMILY!r}]); time.sleep(3600)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code])
    child = psutil.Process(int(written("child")))
    starter.kill()
    starter.wait()
    assert gone(child)


def test_a_process_that_a_command_leaves_running_is_killed(
    started: Callable[..., subprocess.Popen[bytes]],
) -> None:
    assert started("sh", "-c", "sleep 3600 & echo $! > child").wait() == 0
    assert gone(psutil.Process(int(written("child"))))


def test_after_sigterm_a_process_may_finish_its_work(
    started: Callable[..., subprocess.Popen[bytes]],
) -> None:
    process = started(
        "sh",
        "-c",
        "trap 'sleep 0.5; echo saved > done; exit 0' TERM; echo > child; sleep 3600 & wait",
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


@pytest.fixture
def orphans() -> Iterator[list[psutil.Process]]:
    """Processes that should end by themselves; they are killed after the test in any case."""
    processes: list[psutil.Process] = []
    yield processes
    for process in filter(alive, processes):
        process.kill()


CHILDREN = {
    "children with children": "subprocess.Popen(['sh', '-c', 'sleep 3600 & sleep 3600'])",
    # These end together with the first one, and are reaped before it is their turn to be killed.
    "children that end with the first": """
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
first = subprocess.Popen(['sleep', '3600'], stdout=subprocess.PIPE)
for _ in range(30):
    subprocess.Popen(['sleep', '3600'])
    subprocess.Popen(['cat'], stdin=first.stdout)
first.stdout.close()
""",
}
STARTERS = {
    "its parent": ({}, "subprocess.run(command)"),
    # A shell with another command to run stays in between, as dash always does.
    "DVC, through a shell": (
        {"DVC_STAGE": "train@toy-fcn32s"},
        "subprocess.run(['sh', '-c', shlex.join(command) + '; true'])",
    ),
}


@pytest.mark.parametrize("starter", STARTERS)
@pytest.mark.parametrize("children", CHILDREN.values(), ids=CHILDREN)
def test_kill_9_of_the_starter_ends_a_command_and_its_children(
    children: str, starter: str, tmp_path: Path, orphans: list[psutil.Process]
) -> None:
    env, run = STARTERS[starter]
    number = tmp_path / "pid"
    code = f"""
import os, subprocess, time
from pathlib import Path
from fcn.runtime import processes
processes.end_with_parent()
{children}
Path({str(number)!r}).write_text(f"{{os.getpid()}}\\n")
time.sleep(3600)
"""
    command = [sys.executable, "-c", code]
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import shlex, subprocess; command = {command}; {run}"],
        env={**os.environ, **env, "PYTHONPATH": str(ROOT)},
    )
    try:
        child = psutil.Process(int(written(number)))
        wait_for(lambda: len(child.children(recursive=True)) >= 2)
        orphans += [child, *child.children(recursive=True)]
        time.sleep(1.2)  # it looks for its parent twice
        assert all(map(alive, orphans)), "ended although the parent runs"
    finally:
        parent.kill()
        parent.wait()
    assert gone(*orphans)
