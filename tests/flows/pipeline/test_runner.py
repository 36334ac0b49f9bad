"""Running one stage through DVC."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from flows.pipeline import graph, output, runner
from flows.pipeline.runner import Runner
from tests.waiting import gone, written

Pipeline = Callable[..., None]
LONG = (
    "  long: {cmd: 'echo begun; sleep 3600 & echo $! > child; wait', params: [x], outs: [never]}\n"
)


def test_a_stage_runs_once_and_its_lines_are_logged(pipeline: Pipeline) -> None:
    pipeline(
        "  a: {cmd: \"python -c \\\"print('hello'); open('a', 'w')\\\"\", params: [x], outs: [a]}\n"
    )
    lines: list[str] = []
    with Runner() as using:
        assert using.reproduce("a", lines.append)
        assert not using.reproduce("a", lines.append)
    assert "Running stage 'a':" in lines
    assert "hello" in lines
    assert "Stage 'a' didn't change, skipping" in lines


def test_a_stage_from_the_run_cache_did_not_run(pipeline: Pipeline) -> None:
    stages = "  a: {cmd: cp params.yaml a, params: [x], outs: [a]}\n"
    with Runner() as using:
        for x, ran in ((1, True), (2, True), (1, False)):
            pipeline(stages, f"x: {x}\n")
            assert using.reproduce("a", str) is ran


def test_environment_variables_reach_the_stage(pipeline: Pipeline) -> None:
    pipeline("  a: {cmd: 'echo $PARENT_RUN > a', outs: [a]}\n")
    with Runner(env={"PARENT_RUN": "42"}) as using:
        using.reproduce("a", str)
    assert Path("a").read_text() == "42\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "printf 'error: no mask for 7.png\n  allowed: 0-20\n' >&2; exit 2",
            "no mask for 7.png\n  allowed: 0-20",
        ),
        (
            "echo error: old; echo more; echo error: new; echo '  tip'; echo end; exit 1",
            "new\n  tip",
        ),
    ],
)
def test_a_failure_has_the_last_error_message_of_the_stage(
    pipeline: Pipeline, script: str, message: str
) -> None:
    pipeline("  a: {cmd: sh script, params: [x], outs: [a]}\n")
    Path("script").write_text(script)
    with Runner() as using, pytest.raises(runner.StageFailed) as failure:
        using.reproduce("a", str)
    assert str(failure.value) == message


def test_without_an_error_message_a_failure_has_the_end_of_the_output(pipeline: Pipeline) -> None:
    pipeline("  a: {cmd: python script, params: [x], outs: [a]}\n")
    Path("script").write_text("print('error: not the reason')\n1 / 0")
    with Runner() as using, pytest.raises(runner.StageFailed, match="ZeroDivisionError"):
        using.reproduce("a", str)
    pipeline("  a: {cmd: cp b a, deps: [b], outs: [a]}\n")
    with (
        Runner() as using,
        pytest.raises(runner.StageFailed, match="ERROR: failed to reproduce 'a'"),
    ):
        using.reproduce("a", str)


def test_the_time_out_ends_all_processes_of_a_stage(
    pipeline: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline(LONG)

    def pass_the_deadline(line: str) -> None:
        if line == "begun":
            children.append(psutil.Process(int(written("child"))))
            later = SimpleNamespace(monotonic=lambda: time.monotonic() + 4000)
            for module in (runner, output):
                monkeypatch.setattr(module, "time", later)

    children: list[psutil.Process] = []
    with Runner() as using, pytest.raises(runner.StageFailed, match="after 3600 s"):
        using.reproduce("long", pass_the_deadline, timeout=3600)
    assert children
    assert gone(*children)


def test_kill_9_of_dvc_ends_the_stage(pipeline: Pipeline) -> None:
    pipeline(LONG)

    def kill(line: str) -> None:
        if line == "begun":
            child = psutil.Process(int(written("child")))
            children.append(child)
            shell = child.parent()
            os.kill(shell.ppid(), signal.SIGKILL)

    children: list[psutil.Process] = []
    with Runner() as using, pytest.raises(runner.StageFailed, match="begun"):
        using.reproduce("long", kill)
    assert gone(*children)


def test_leaving_the_runner_ends_running_stages_and_starts_no_other(pipeline: Pipeline) -> None:
    pipeline(LONG)
    cancelled: list[BaseException] = []

    def run(stage: str) -> None:
        try:
            using.reproduce(stage, str)
        except runner.Cancelled as error:
            cancelled.append(error)

    with Runner(slots=1) as using:
        threads = [threading.Thread(target=run, args=[stage]) for stage in ("long", "long")]
        for thread in threads:
            thread.start()
        child = psutil.Process(int(written("child")))
    assert gone(child)
    for thread in threads:
        thread.join()
    assert len(cancelled) == 2  # one was running, one was waiting for a slot
    with pytest.raises(runner.Cancelled):
        using.pause(60)


def test_an_exception_while_logging_ends_the_stage(pipeline: Pipeline) -> None:
    pipeline(LONG)

    def fail(line: str) -> None:
        if line == "begun":
            children.append(psutil.Process(int(written("child"))))
            raise OSError("no space left")

    children: list[psutil.Process] = []
    with Runner() as using, pytest.raises(OSError, match="no space left"):
        using.reproduce("long", fail)
    assert gone(*children)


def test_zero_slots_are_refused() -> None:
    with pytest.raises(ValueError, match="slots is 0; allowed: 1 or more"):
        Runner(slots=0)


def test_output_is_cut_into_lines() -> None:
    assert [*output.lines([b"one\ntw", b"o\n\n  three  \r\n", b"four"])] == [
        "one",
        "two",
        "  three",
        "four",
    ]


def test_bytes_that_are_not_utf_8_are_replaced() -> None:
    assert [*output.lines([b"\xc3", b"\xa4\n", b"\xff!\n", b"\xc3"])] == ["ä", "\ufffd!", "\ufffd"]


@pytest.mark.parametrize("bar", [b"\r%2d%%", b"%2d%%\r"])
def test_a_finished_progress_bar_is_one_line(bar: bytes) -> None:
    assert [*output.lines([*(bar % n for n in range(100)), b"\nend\n"])] == ["99%", "end"]


def test_a_slow_progress_bar_shows_some_of_its_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "PROGRESS", -1.0)
    assert [*output.lines([b"\r10%", b"\r20%", b"\r30%\n"])] == ["10%", "20%", "30%"]


def test_an_endless_line_is_cut() -> None:
    cut = [*output.lines(b"x" * 4096 for _ in range(100))]
    assert "".join(cut) == "x" * 409600
    assert max(map(len, cut)) == output.LONGEST_LINE


@pytest.fixture
def remote(pipeline: Pipeline, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the default remote of a repository with two stages."""
    folder = tmp_path_factory.mktemp("remote")
    pipeline("  a: {foreach: [1, 2], do: {cmd: 'echo ${item} > a${item}', outs: ['a${item}']}}\n")
    with Path(".dvc/config").open("a") as config:
        config.write(f"[core]\n    remote = there\n['remote \"there\"']\n    url = {folder}\n")
    return folder


def test_a_push_without_a_remote_fails_with_dvcs_message(pipeline: Pipeline) -> None:
    pipeline("  a: {cmd: echo 1 > a, outs: [a]}\n")
    with Runner() as using:
        using.reproduce("a", str)
        with pytest.raises(runner.StageFailed, match="no remote"):
            using.push(str)


def test_another_checkout_pulls_what_concurrent_runs_pushed(
    remote: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reproduce_and_push(stage: str) -> None:
        with Runner() as using:
            using.reproduce(stage, str)
            using.push(str)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(reproduce_and_push, ["a@1", "a@2"]))
    assert sum(path.is_file() for path in remote.rglob("*")) == 2

    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in (".dvc/config", "dvc.yaml", "dvc.lock", "params.yaml"):
        (elsewhere / name).parent.mkdir(exist_ok=True)
        shutil.copy(name, elsewhere / name)
    monkeypatch.chdir(elsewhere)
    subprocess.run(["git", "init", "--quiet"], check=True)
    with Runner() as using:
        using.pull(str)
    assert (Path("a1").read_text(), Path("a2").read_text()) == ("1\n", "2\n")
    assert not graph.may_run(graph.read())
