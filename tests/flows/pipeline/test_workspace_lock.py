"""Flows in the same workspace."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flows.pipeline import workspace_lock
from tests.waiting import wait_for

ROOT = Path(__file__).parents[3]
HOLD = """
import sys
from flows.pipeline import workspace_lock
from tests.waiting import wait_for
with workspace_lock.hold("the first", print):
    print("begun", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["ended", "killed"])
def test_a_second_flow_waits_until_the_first_has_ended_or_was_killed(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines: list[str] = []
    entered = threading.Event()

    def second() -> None:
        with workspace_lock.hold("the second", lines.append):
            entered.set()

    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        env={"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "begun\n"
        waiting = threading.Thread(target=second)
        waiting.start()
        wait_for(lambda: lines)
        assert not entered.is_set()
        if how == "killed":
            first.kill()
        else:
            first.communicate()
        waiting.join()
    assert entered.is_set()
    assert lines == [lines[0]]
    assert lines[0].startswith(f"waiting for the first (process {first.pid}, since ")


def test_a_single_flow_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        with workspace_lock.hold("one", pytest.fail):
            pass
