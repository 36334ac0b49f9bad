"""The flow, on real DVC and a real Prefect server."""

import hashlib
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from dvc.repo import Repo
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, TaskRunFilter
from prefect.client.schemas.objects import State

from flows import reproduce

Pipeline = Callable[..., None]
# `sort -u` forgets how often a line comes: a changed input may give an unchanged result.
CHAIN = """
  first: {cmd: 'sort -u lines > a', deps: [lines], outs: [a]}
  second:
    foreach: [digits-fcn16s]
    do: {cmd: "cat a extra > ${item}", deps: [a, extra], outs: ["${item}"]}
  table:
    foreach: [digits]
    do: {cmd: "cp ${item}-fcn16s ${item}.md", deps: ["${item}-fcn16s"], outs: ["${item}.md"]}
"""


@pytest.fixture
def chain(pipeline: Pipeline, prefect_server: str) -> None:
    pipeline(CHAIN)
    Path("lines").write_text("|1|\n")
    Path("extra").write_text("|x|\n")


def run(*targets: str, slots: int = 2) -> State[Any]:
    return reproduce.reproduce([*targets], slots, return_state=True)


def last_line(state: State[Any]) -> str:
    return (state.message or "").splitlines()[-1].rpartition(";")[0]


@pytest.mark.usefixtures("chain")
def test_only_what_changed_and_what_it_changes_runs() -> None:
    everything = "first, second@digits-fcn16s, table@digits"
    assert last_line(run()) == f"ran 3 ({everything})"
    state = run()
    assert state.is_completed()
    assert last_line(state) == f"cached 3 ({everything})"
    Path("extra").write_text("|y|\n")
    assert last_line(run()) == "ran 2 (second@digits-fcn16s, table@digits); cached 1 (first)"
    assert Path("digits.md").read_text() == "|1|\n|y|\n"
    Path("lines").write_text("|1|\n|1|\n")  # an unchanged result stops the runs behind it
    assert last_line(run()) == "ran 1 (first); cached 2 (second@digits-fcn16s, table@digits)"


@pytest.mark.usefixtures("chain")
def test_targets_bring_along_what_they_need() -> None:
    assert last_line(run("second")) == "ran 2 (first, second@digits-fcn16s)"
    state = run("tabel@digits")
    assert state.is_failed()
    assert "unknown target 'tabel@digits'; nearest" in state.message


@pytest.mark.usefixtures("chain")
def test_the_server_knows_every_stage_and_shows_the_table() -> None:
    run("first")
    flow_run = {"any_": [str(run().state_details.flow_run_id)]}
    with get_client(sync_client=True) as client:
        (table,) = client.read_artifacts(
            artifact_filter=ArtifactFilter.model_validate({"flow_run_id": flow_run})
        )
        assert (table.key, table.type) == ("table-digits", "markdown")
        assert table.data == "|1|\n|x|\n"
        names: dict[str, str | None] = {}
        deadline = time.monotonic() + 300  # the server writes task runs down when it has time
        while "Completed" not in names.values() or "Running" in names.values():
            assert time.monotonic() < deadline, names
            time.sleep(0.2)
            runs = client.read_task_runs(
                task_run_filter=TaskRunFilter.model_validate({"flow_run_id": flow_run})
            )
            names = {task_run.name: task_run.state_name for task_run in runs}
    assert names == {
        "first": "Cached",
        "second@digits-fcn16s": "Completed",
        "table@digits": "Completed",
    }


@pytest.mark.usefixtures("prefect_server")
def test_a_failure_speaks_for_itself_and_stops_only_what_is_behind_it(pipeline: Pipeline) -> None:
    pipeline(
        """
  bad: {cmd: 'echo "error: no mask for 7.png" >&2; exit 2', params: [x], outs: [b]}
  behind: {cmd: cp b c, deps: [b], outs: [c]}
  good: {cmd: sleep 1; touch g, params: [x], outs: [g]}
  after: {cmd: cp g h, deps: [g], outs: [h]}
"""
    )
    state = run()
    assert state.is_failed()
    assert state.message.splitlines()[0] == "bad: no mask for 7.png"
    assert last_line(state) == "ran 2 (good, after); failed 1 (bad); not run 1 (behind)"
    assert Path("h").exists()


@pytest.mark.usefixtures("prefect_server")
def test_what_may_pass_is_tried_again_after_longer_and_longer_pauses(pipeline: Pipeline) -> None:
    # 75 is door.TryLater, 1 what a person has to mend; a kill is nobody's fault.
    tried = "date +%s.%N >> {0}.tries; test $(wc -l < {0}.tries) -eq {1} && touch {0} || {2}"
    pipeline(
        f"""
  broken:
    cmd: '{tried.format("broken", 3, "exit 75")}'
    params: [x]
    outs: [broken]
    meta: {{retries: 2, retry_delay: 1}}
  killed:
    cmd: '{tried.format("killed", 2, "kill -9 $$")}'
    params: [x]
    outs: [killed]
    meta: {{retries: 2, retry_delay: 0.1}}
  wrong:
    cmd: '{tried.format("wrong", 2, "(echo error: no such class >&2; exit 1)")}'
    params: [x]
    outs: [wrong]
    meta: {{retries: 2, retry_delay: 0.1}}
"""
    )
    state = run(slots=3)
    assert last_line(state) == "ran 2 (broken, killed); failed 1 (wrong)"
    assert state.message.splitlines()[0] == "wrong: no such class"
    assert len(Path("wrong.tries").read_text().splitlines()) == 1
    begun = [float(line) for line in Path("broken.tries").read_text().splitlines()]
    assert begun[1] - begun[0] >= 1
    assert begun[2] - begun[1] >= 2


@pytest.mark.usefixtures("prefect_server")
def test_a_stage_has_as_long_as_its_meta_says(pipeline: Pipeline) -> None:
    pipeline(
        """
  slow:
    cmd: sleep 300
    params: [x]
    outs: [s]
    meta: {timeout: 1}
"""
    )
    state = run()
    assert last_line(state) == "failed 1 (slow)"
    assert state.message.splitlines()[0] == "slow: ended after 1 s, the meta.timeout of dvc.yaml"


@pytest.mark.usefixtures("chain")
def test_forced_stages_run_though_nothing_changed() -> None:
    run()
    state = reproduce.reproduce(["first"], force=True, return_state=True)
    assert last_line(state) == "ran 1 (first)"


@pytest.mark.usefixtures("prefect_server")
def test_news_come_in_first(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline("  use: {cmd: cat watched/* imported > u, deps: [watched, imported], outs: [u]}\n")
    (tmp_path / "away").write_text("1\n")
    Path("watched").mkdir()
    Path("watched/a").write_text("a\n")
    with Repo() as repo:
        repo.add("watched")
        repo.imp_url(str(tmp_path / "away"), "imported")
    assert run().is_completed()
    (tmp_path / "away").write_text("2\n")
    Path("watched/b").write_text("b\n")
    state = reproduce.reproduce(update=True, return_state=True)
    assert state.is_completed(), state.message
    assert Path("u").read_text() == "a\nb\n2\n"
    with Repo() as repo:
        assert repo.status() == {}


@pytest.mark.usefixtures("prefect_server")
def test_branches_run_side_by_side(pipeline: Pipeline) -> None:
    meet = "touch {0}; until test -e {1}; do sleep 0.05; done"
    branch = "{{cmd: '" + meet + "', params: [x], outs: [{0}], meta: {{timeout: 300}}}}"
    pipeline(f"  b1: {branch.format('b1', 'b2')}\n  b2: {branch.format('b2', 'b1')}\n")
    assert run(slots=2).is_completed()


@pytest.mark.usefixtures("prefect_server")
def test_with_one_slot_branches_run_one_after_the_other(pipeline: Pipeline) -> None:
    alone = "{{cmd: 'test ! -e busy && touch busy {0} && sleep 1 && rm busy', outs: [{0}]}}"
    pipeline(f"  b1: {alone.format('b1')}\n  b2: {alone.format('b2')}\n")
    assert run(slots=1).is_completed()


@pytest.mark.usefixtures("prefect_server")
def test_the_longest_way_goes_first(pipeline: Pipeline) -> None:
    one = "  {0}: {{cmd: 'echo {0} >> order; sleep 1; touch {0}', deps: [{1}], outs: [{0}]}}\n"
    short = [one.format(f"short{number}", "params.yaml") for number in range(4)]
    chain = [one.format("c1", "params.yaml"), one.format("c2", "c1"), one.format("c3", "c2")]
    pipeline("".join([*short, *chain]))
    assert run(slots=1).is_completed()
    order = Path("order").read_text().split()
    # The chain's last has nothing behind it, as the short ones, and may come after some.
    assert order[:2] == ["c1", "c2"]
    assert sorted(order[2:]) == ["c3", *(f"short{number}" for number in range(4))]


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize(
    "rounds",
    [pytest.param(1, marks=pytest.mark.services), pytest.param(10, marks=pytest.mark.soak)],
)
def test_eight_at_once_never_trip_over_a_lock(pipeline: Pipeline, rounds: int) -> None:
    names = [f"evaluate{number}" for number in range(8)]
    pipeline(
        "".join(
            f"  {name}: {{cmd: 'cat model > {name}; sleep 1', deps: [model], outs: [{name}]}}\n"
            for name in names
        )
    )
    for number in range(rounds):
        Path("model").write_text(f"{number}\n")
        state = run(slots=8)
        assert state.is_completed(), state.message
        lock = Path("dvc.lock").read_text()
        assert [name for name in names if f"\n  {name}:\n" not in lock] == []
        digest = hashlib.md5(Path("model").read_bytes(), usedforsecurity=False).hexdigest()
        assert lock.count(digest) == 2 * len(names)  # of each the dep and the out


@pytest.mark.usefixtures("prefect_server")
def test_a_change_made_meanwhile_fails_the_run(pipeline: Pipeline) -> None:
    pipeline(
        """
  first: {cmd: cp lines a, deps: [lines], outs: [a]}
  second: {cmd: cp a b; echo 2 > lines, deps: [a], outs: [b]}
"""
    )
    Path("lines").write_text("1\n")
    state = run()
    assert state.is_failed()
    assert "after the run DVC still finds changes\nfirst: dep lines modified" in state.message


LONG = """
  long: {cmd: 'echo begun; sleep 300 & echo $! > child; wait', params: [x], outs: [never]}
  quick: {cmd: touch q, params: [x], outs: [q]}
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_of_a_flow_that_is_ended(
    pipeline: Pipeline,
    prefect_server: str,
    command: Callable[..., subprocess.Popen[str]],
    written: Callable[[str], str],
    gone: Callable[..., bool],
    how: signal.Signals,
) -> None:
    pipeline(LONG)
    flow = command("long", PREFECT_API_URL=prefect_server)
    assert flow.stdout is not None
    assert any("Task run 'long' - begun" in line for line in flow.stdout)
    child = psutil.Process(int(written("child")))
    family = psutil.Process(flow.pid).children(recursive=True)
    assert child in family
    flow.send_signal(how)
    assert gone(*family)
    flow.communicate(timeout=300)
    assert flow.returncode == (130 if how == signal.SIGINT else -how)


def test_no_server_is_needed_and_none_is_left(
    pipeline: Pipeline,
    prefect_home: Path,
    command: Callable[..., subprocess.Popen[str]],
    written: Callable[[str], str],
    gone: Callable[..., bool],
) -> None:
    pipeline(LONG)
    quick = command("quick", PREFECT_HOME=str(prefect_home))
    output, _ = quick.communicate(timeout=600)
    assert quick.returncode == 0
    assert output.splitlines()[-1].startswith("ran 1 (quick); ")
    flow = command(PREFECT_HOME=str(prefect_home))
    written("child")
    family = psutil.Process(flow.pid).children(recursive=True)
    assert any("server" in process.cmdline() for process in family)
    flow.kill()
    assert gone(*family)
