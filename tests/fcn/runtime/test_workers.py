"""Jobs in processes, and on a real Dask cluster of two worker processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from fcn.runtime import workers
from tests import waiting
from tests.waiting import FOREVER, wait_for

ROOT = Path(__file__).parents[3]
Job = tuple[Path, int]
KINDS = ["processes", "cluster"]


def square(number: int) -> tuple[int, int]:
    time.sleep(0.05 if number == 0 else 0)  # the first job is not done first
    return number * number, os.getpid()


def refuse(number: int) -> int:
    if number == 1:
        raise ValueError("b.png: no picture")
    return number


def fill_the_disk(number: int) -> None:
    raise OSError(28, os.strerror(28))


def leave(job: Job) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wait(job: Job) -> None:
    """Write down which process this is, then work for longer than any test."""
    folder, number = job
    if number == 1:
        wait_for(lambda: list(folder.glob("pid-*")))
        raise ValueError("b.png: no picture")
    (folder / f"pid-{os.getpid()}").touch()
    time.sleep(FOREVER)


def started(folder: Path, count: int) -> list[int]:
    """Return the processes that have written themselves down, once there are `count`."""
    wait_for(lambda: len(list(folder.glob("pid-*"))) >= count)
    return [int(path.name.removeprefix("pid-")) for path in folder.glob("pid-*")]


@pytest.fixture
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the jobs run."""
    if request.param == "cluster":
        monkeypatch.setenv(workers.SCHEDULER, request.getfixturevalue("cluster"))
    return request.param


@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_results_have_the_order_of_the_jobs_and_come_from_other_processes(kind: str) -> None:
    results = list(workers.each(square, range(40), 2))
    assert [value for value, _ in results] == [number**2 for number in range(40)]
    processes = {process for _, process in results}
    assert len(processes) in (1, 2)
    assert os.getpid() not in processes


@pytest.mark.parametrize(("jobs", "count"), [(3, 1), (1, 2), (1, 0), (0, 2)])
def test_a_single_worker_or_job_runs_in_this_process(jobs: int, count: int) -> None:
    results = list(workers.each(square, range(jobs), count))
    assert results == [(number**2, os.getpid()) for number in range(jobs)]


@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_an_error_is_raised_unchanged_after_the_results_before_it(kind: str) -> None:
    results = workers.each(refuse, range(3), 2)
    assert next(results) == 0
    with pytest.raises(ValueError, match=r"^b\.png: no picture$"):
        next(results)


@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_a_full_disk_keeps_its_error_number(kind: str) -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        list(workers.each(fill_the_disk, range(2), 2))
    assert caught.value.errno == 28


def test_an_error_ends_the_other_workers(tmp_path: Path) -> None:
    results = workers.each(wait, [(tmp_path, 1), (tmp_path, 0)], 2)
    with pytest.raises(ValueError, match="no picture"):
        next(results)
    (other,) = started(tmp_path, 1)
    wait_for(lambda: gone(other))


def gone(process: int) -> bool:
    return not psutil.pid_exists(process) or not waiting.alive(psutil.Process(process))


def fail_or_finish(job: Job) -> None:
    folder, number = job
    if number == 0:
        wait_for(lambda: (folder / "started").exists())
        raise ValueError("b.png: no picture")
    (folder / "started").touch()
    time.sleep(0.5)
    (folder / "done").touch()


def test_an_error_on_a_cluster_waits_for_running_jobs(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(workers.SCHEDULER, cluster)
    with pytest.raises(ValueError, match="no picture"):
        list(workers.each(fail_or_finish, [(tmp_path, 0), (tmp_path, 1)], 2))
    assert (tmp_path / "done").exists()


def test_closing_the_iterator_ends_the_workers(tmp_path: Path) -> None:
    results: Any = workers.each(first_then_wait, [(tmp_path, 0), (tmp_path, 2)], 2)
    assert next(results) == "first"
    (other,) = started(tmp_path, 1)
    results.close()
    wait_for(lambda: gone(other))


def first_then_wait(job: Job) -> str:
    if job[1] == 0:
        return "first"
    wait(job)
    return "never"


def test_a_killed_worker_raises_one_message(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a worker process was killed"):
        list(workers.each(leave, [(tmp_path, 0), (tmp_path, 1)], 2))


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(end: signal.Signals, tmp_path: Path) -> None:
    code = (
        "import signal, sys; from pathlib import Path; from fcn.runtime import workers;"
        # As at a terminal: a shell's background job ignores Ctrl-C.
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from tests.fcn.runtime.test_workers import wait;"
        "list(workers.each(wait, [(Path(sys.argv[1]), number) for number in (0, 2)], 2))"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        alive = started(tmp_path, 2)
        parent.send_signal(end)
        parent.wait()
        wait_for(lambda: all(map(gone, alive)))
    finally:
        parent.kill()


def test_ctrl_c_at_the_terminal_shows_one_line_and_no_tracebacks_of_workers(tmp_path: Path) -> None:
    code = (
        "import signal, sys; from pathlib import Path; from fcn.common import messages;"
        "from fcn.runtime import workers;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from tests.fcn.runtime.test_workers import wait\n"
        "with messages.explaining():\n"
        "    list(workers.each(wait, [(Path(sys.argv[1]), number) for number in (0, 2)], 2))"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        alive = started(tmp_path, 2)
        os.killpg(parent.pid, signal.SIGINT)
        _, shown = parent.communicate(timeout=300)
        assert (parent.returncode, shown) == (130, "interrupted\n")
        wait_for(lambda: all(map(gone, alive)))
    finally:
        parent.kill()


def test_an_unreachable_cluster_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "CONNECT_SECONDS", 0.1)
    monkeypatch.setenv(workers.SCHEDULER, "tcp://127.0.0.1:1")
    with pytest.raises(ValueError, match=r"DASK_SCHEDULER_ADDRESS=tcp://127\.0\.0\.1:1: .*unset"):
        list(workers.each(refuse, range(2), 2))


def test_without_dask_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)  # as if it were not installed
    monkeypatch.setenv(workers.SCHEDULER, "tcp://127.0.0.1:1")
    with pytest.raises(
        ValueError, match=r"Dask is not installed; .*uv sync --inexact --extra dask"
    ):
        list(workers.each(refuse, range(2), 2))
