"""The flow `reproduce` as a command that is interrupted or killed."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.waiting import SECONDS, gone, written

Pipeline = Callable[..., None]
LONG = """
  long: {cmd: 'echo begun; sleep 3600 & echo $! > child; wait', params: [x], outs: [never]}
  quick: {cmd: touch q, params: [x], outs: [q]}
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_ending_a_flow_ends_all_its_processes(
    pipeline: Pipeline,
    prefect_server: str,
    command: Callable[..., subprocess.Popen[str]],
    sent: signal.Signals,
) -> None:
    pipeline(LONG)
    flow = command("long", PREFECT_API_URL=prefect_server)
    assert flow.stdout is not None
    assert any("Task run 'long' - begun" in line for line in flow.stdout)
    child = psutil.Process(int(written("child")))
    family = psutil.Process(flow.pid).children(recursive=True)
    assert child in family
    flow.send_signal(sent)
    assert gone(*family)
    shown, _ = flow.communicate(timeout=SECONDS)
    assert flow.returncode == (130 if sent == signal.SIGINT else -sent)
    if sent == signal.SIGINT:
        assert "Traceback" not in shown
        assert shown.splitlines()[-1] == "cancelled; all stages have been ended"


def test_a_killed_flow_ends_the_server_that_it_started(
    pipeline: Pipeline,
    prefect_home: Path,
    command: Callable[..., subprocess.Popen[str]],
) -> None:
    pipeline(LONG)
    flow = command(PREFECT_HOME=str(prefect_home))
    written("child")
    family = psutil.Process(flow.pid).children(recursive=True)
    assert any("server" in process.cmdline() for process in family)
    flow.kill()
    assert gone(*family)
