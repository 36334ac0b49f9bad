"""Running one stage under DVC."""

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

from flows import dvc, graph

Pipeline = Callable[..., None]
LONG = (
    "  long: {cmd: 'echo begun; sleep 300 & echo $! > child; wait', params: [x], outs: [never]}\n"
)


def test_a_stage_runs_once_and_its_lines_come_as_they_are_written(pipeline: Pipeline) -> None:
    pipeline(
        "  a: {cmd: \"python -c \\\"print('hello'); open('a', 'w')\\\"\", params: [x], outs: [a]}\n"
    )
    heard: list[str] = []
    with dvc.Runner() as runner:
        assert runner.reproduce("a", heard.append)
        assert not runner.reproduce("a", heard.append)
    assert "Running stage 'a':" in heard
    assert "hello" in heard
    assert "Stage 'a' didn't change, skipping" in heard


def test_what_dvc_takes_from_its_run_cache_did_not_run(pipeline: Pipeline) -> None:
    stages = "  a: {cmd: cp params.yaml a, params: [x], outs: [a]}\n"
    with dvc.Runner() as runner:
        for x, ran in ((1, True), (2, True), (1, False)):
            pipeline(stages, f"x: {x}\n")
            assert runner.reproduce("a", str) is ran


def test_variables_reach_the_stage(pipeline: Pipeline) -> None:
    pipeline("  a: {cmd: 'echo $PARENT_RUN > a', outs: [a]}\n")
    with dvc.Runner(env={"PARENT_RUN": "42"}) as runner:
        runner.reproduce("a", str)
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
def test_a_failure_has_the_last_words_of_the_stage(
    pipeline: Pipeline, script: str, message: str
) -> None:
    pipeline("  a: {cmd: sh script, params: [x], outs: [a]}\n")
    Path("script").write_text(script)
    with dvc.Runner() as runner, pytest.raises(dvc.StageFailed) as failure:
        runner.reproduce("a", str)
    assert str(failure.value) == message


def test_without_a_message_the_end_of_the_output_tells(pipeline: Pipeline) -> None:
    pipeline("  a: {cmd: python script, params: [x], outs: [a]}\n")
    Path("script").write_text("print('error: not the reason')\n1 / 0")
    with dvc.Runner() as runner, pytest.raises(dvc.StageFailed, match="ZeroDivisionError"):
        runner.reproduce("a", str)
    pipeline("  a: {cmd: cp b a, deps: [b], outs: [a]}\n")
    with (
        dvc.Runner() as runner,
        pytest.raises(dvc.StageFailed, match="ERROR: failed to reproduce 'a'"),
    ):
        runner.reproduce("a", str)


def test_time_out_ends_the_whole_family(
    pipeline: Pipeline,
    written: Callable[[str], str],
    gone: Callable[..., bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline(LONG)

    def let_time_pass(line: str) -> None:
        if line == "begun":
            children.append(psutil.Process(int(written("child"))))
            later = SimpleNamespace(monotonic=lambda: time.monotonic() + 4000)
            monkeypatch.setattr(dvc, "time", later)

    children: list[psutil.Process] = []
    with dvc.Runner() as runner, pytest.raises(dvc.StageFailed, match="after 3600 s"):
        runner.reproduce("long", let_time_pass, timeout=3600)
    assert children
    assert gone(*children)


def test_kill_9_of_dvc_leaves_no_training(
    pipeline: Pipeline, written: Callable[[str], str], gone: Callable[..., bool]
) -> None:
    pipeline(LONG)

    def kill(line: str) -> None:
        if line == "begun":
            child = psutil.Process(int(written("child")))
            children.append(child)
            shell = child.parent()
            os.kill(shell.ppid(), signal.SIGKILL)

    children: list[psutil.Process] = []
    with dvc.Runner() as runner, pytest.raises(dvc.StageFailed, match="begun"):
        runner.reproduce("long", kill)
    assert gone(*children)


def test_leaving_the_runner_ends_what_is_alive_and_starts_nothing(
    pipeline: Pipeline, written: Callable[[str], str], gone: Callable[..., bool]
) -> None:
    pipeline(LONG)
    problems: list[BaseException] = []

    def run(stage: str) -> None:
        try:
            runner.reproduce(stage, str)
        except dvc.Cancelled as cancelled:
            problems.append(cancelled)

    with dvc.Runner(slots=1) as runner:
        threads = [threading.Thread(target=run, args=[stage]) for stage in ("long", "long")]
        for thread in threads:
            thread.start()
        child = psutil.Process(int(written("child")))
    assert gone(child)
    for thread in threads:
        thread.join(timeout=60)
    assert len(problems) == 2  # one was running, one was waiting for its slot
    with pytest.raises(dvc.Cancelled):
        runner.pause(60)


def test_an_exception_in_the_log_ends_the_stage(
    pipeline: Pipeline, written: Callable[[str], str], gone: Callable[..., bool]
) -> None:
    pipeline(LONG)

    def break_down(line: str) -> None:
        if line == "begun":
            children.append(psutil.Process(int(written("child"))))
            raise OSError("no space left")

    children: list[psutil.Process] = []
    with dvc.Runner() as runner, pytest.raises(OSError, match="no space left"):
        runner.reproduce("long", break_down)
    assert gone(*children)


def test_there_is_at_least_one_slot() -> None:
    with pytest.raises(ValueError, match="slots is 0; allowed: 1 or more"):
        dvc.Runner(slots=0)


def test_lines_are_cut_where_they_end() -> None:
    assert [*dvc.lines([b"one\ntw", b"o\n\n  three  \r\n", b"four"])] == [
        "one",
        "two",
        "  three",
        "four",
    ]


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert [*dvc.lines([b"\xc3", b"\xa4\n", b"\xff!\n", b"\xc3"])] == ["ä", "\ufffd!", "\ufffd"]


@pytest.mark.parametrize("bar", [b"\r%2d%%", b"%2d%%\r"])
def test_of_a_bar_the_last_state_stays(bar: bytes) -> None:
    assert [*dvc.lines([*(bar % n for n in range(100)), b"\nend\n"])] == ["99%", "end"]


def test_of_a_long_bar_a_state_is_shown_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc, "PROGRESS", -1.0)
    assert [*dvc.lines([b"\r10%", b"\r20%", b"\r30%\n"])] == ["10%", "20%", "30%"]


def test_an_endless_line_takes_no_memory() -> None:
    cut = [*dvc.lines(b"x" * 4096 for _ in range(100))]
    assert "".join(cut) == "x" * 409600
    assert max(map(len, cut)) == dvc.LONGEST_LINE


@pytest.fixture
def remote(pipeline: Pipeline, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is the default remote of a repository of two stages."""
    folder = tmp_path_factory.mktemp("remote")
    pipeline("  a: {foreach: [1, 2], do: {cmd: 'echo ${item} > a${item}', outs: ['a${item}']}}\n")
    with Path(".dvc/config").open("a") as config:
        config.write(f"[core]\n    remote = there\n['remote \"there\"']\n    url = {folder}\n")
    return folder


def test_without_a_remote_pushing_says_so_in_dvcs_words(pipeline: Pipeline) -> None:
    pipeline("  a: {cmd: echo 1 > a, outs: [a]}\n")
    with dvc.Runner() as runner:
        runner.reproduce("a", str)
        with pytest.raises(dvc.StageFailed, match="no remote"):
            runner.push(str)


def test_what_concurrent_runs_push_another_checkout_pulls(
    remote: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def night(stage: str) -> None:
        with dvc.Runner() as runner:
            runner.reproduce(stage, str)
            runner.push(str)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(night, ["a@1", "a@2"]))
    assert sum(path.is_file() for path in remote.rglob("*")) == 2

    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in (".dvc/config", "dvc.yaml", "dvc.lock", "params.yaml"):
        (elsewhere / name).parent.mkdir(exist_ok=True)
        shutil.copy(name, elsewhere / name)
    monkeypatch.chdir(elsewhere)
    subprocess.run(["git", "init", "--quiet"], check=True)
    with dvc.Runner() as runner:
        runner.pull(str)
    assert (Path("a1").read_text(), Path("a2").read_text()) == ("1\n", "2\n")
    assert not graph.may_run(graph.read())
