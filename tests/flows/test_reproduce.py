"""The flow `reproduce`, on real DVC and a real Prefect server."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, TaskRunFilter
from prefect.client.schemas.objects import State

from flows import reproduce
from flows.pipeline import semaphore
from tests.waiting import SECONDS, wait_for

Pipeline = Callable[..., None]
# `sort -u` drops repeated lines: a changed input may give an unchanged output.
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
def test_only_changed_stages_and_their_dependents_run() -> None:
    everything = "first, second@digits-fcn16s, table@digits"
    assert last_line(run()) == f"ran 3 ({everything})"
    state = run()
    assert state.is_completed()
    assert last_line(state) == f"cached 3 ({everything})"
    Path("extra").write_text("|y|\n")
    assert last_line(run()) == "ran 2 (second@digits-fcn16s, table@digits); cached 1 (first)"
    assert Path("digits.md").read_text() == "|1|\n|y|\n"
    Path("lines").write_text("|1|\n|1|\n")  # an unchanged output stops the runs downstream
    assert last_line(run()) == "ran 1 (first); cached 2 (second@digits-fcn16s, table@digits)"


@pytest.mark.usefixtures("prefect_server")
def test_after_an_edit_of_code_only_stages_whose_list_changed_may_run(pipeline: Pipeline) -> None:
    Path("source").mkdir()
    Path("source/a").write_text("1")
    Path("source/b").write_text("1")
    pipeline("""
  code: {cmd: 'rm -rf code; cp -r source code', deps: [source], outs: [code: {cache: false}]}
  first: {cmd: 'cp code/a first', deps: [code/a], outs: [first]}
  second: {cmd: 'cp code/b second', deps: [code/b], outs: [second]}
""")
    assert last_line(run()) == "ran 3 (code, first, second)"
    Path("source/b").write_text("2")
    state = run()
    assert last_line(state) == "ran 2 (code, second); cached 1 (first)"
    assert state.is_completed()


@pytest.mark.usefixtures("chain")
def test_targets_include_their_upstream() -> None:
    assert last_line(run("second")) == "ran 2 (first, second@digits-fcn16s)"
    state = run("tabel@digits")
    assert state.is_failed()
    assert "unknown target 'tabel@digits'; did you mean 'table@digits'?" in state.message


@pytest.mark.usefixtures("chain")
def test_the_server_shows_every_stage_and_the_table() -> None:
    run("first")
    flow_run = {"any_": [str(run().state_details.flow_run_id)]}
    with get_client(sync_client=True) as client:
        (table,) = client.read_artifacts(
            artifact_filter=ArtifactFilter.model_validate({"flow_run_id": flow_run})
        )
        assert (table.key, table.type) == ("table-digits", "markdown")
        assert table.data == "|1|\n|x|\n"

        def ended() -> dict[str, str | None] | None:
            """The state of each task run, once all three have ended."""
            runs = client.read_task_runs(
                task_run_filter=TaskRunFilter.model_validate({"flow_run_id": flow_run})
            )
            final = [run for run in runs if run.state is not None and run.state.is_final()]
            return {run.name: run.state_name for run in final} if len(final) == 3 else None

        states = wait_for(ended)  # the server stores task runs with a delay
    assert states == {
        "first": "Cached",
        "second@digits-fcn16s": "Completed",
        "table@digits": "Completed",
    }


@pytest.mark.usefixtures("prefect_server")
def test_a_failure_has_its_message_and_stops_only_its_dependents(pipeline: Pipeline) -> None:
    pipeline(
        """
  bad: {cmd: 'echo "error: no mask for 7.png" >&2; exit 2', params: [x], outs: [b]}
  dependent: {cmd: cp b c, deps: [b], outs: [c]}
  good: {cmd: sleep 1; touch g, params: [x], outs: [g]}
  after: {cmd: cp g h, deps: [g], outs: [h]}
"""
    )
    state = run()
    assert state.is_failed()
    assert state.message.splitlines()[0] == "bad: no mask for 7.png"
    assert last_line(state) == "ran 2 (good, after); failed 1 (bad); not run 1 (dependent)"
    assert Path("h").exists()


@pytest.mark.usefixtures("prefect_server")
def test_temporary_failures_are_retried_with_growing_delays(pipeline: Pipeline) -> None:
    # 75 is messages.TryLater; 1 is an error that a retry does not repair.
    attempt = "date +%s.%N >> {0}.log; test $(wc -l < {0}.log) -eq {1} && touch {0} || {2}"
    pipeline(
        f"""
  broken:
    cmd: '{attempt.format("broken", 3, "exit 75")}'
    params: [x]
    outs: [broken]
    meta: {{retries: 2, retry_delay: 1}}
  killed:
    cmd: '{attempt.format("killed", 2, "kill -9 $$")}'
    params: [x]
    outs: [killed]
    meta: {{retries: 2, retry_delay: 0.1}}
  wrong:
    cmd: '{attempt.format("wrong", 2, "(echo error: no such class >&2; exit 1)")}'
    params: [x]
    outs: [wrong]
    meta: {{retries: 2, retry_delay: 0.1}}
"""
    )
    state = run(slots=3)
    assert last_line(state) == "ran 2 (broken, killed); failed 1 (wrong)"
    assert state.message.splitlines()[0] == "wrong: no such class"
    assert len(Path("wrong.log").read_text().splitlines()) == 1
    starts = [float(line) for line in Path("broken.log").read_text().splitlines()]
    assert starts[1] - starts[0] >= 1
    assert starts[2] - starts[1] >= 2


@pytest.mark.usefixtures("prefect_server")
def test_a_stage_ends_at_the_time_out_of_its_meta(pipeline: Pipeline) -> None:
    pipeline(
        """
  slow:
    cmd: sleep 3600
    params: [x]
    outs: [s]
    meta: {timeout: 1}
"""
    )
    state = run()
    assert last_line(state) == "failed 1 (slow)"
    assert state.message.splitlines()[0] == "slow: ended after 1 s, the meta.timeout of dvc.yaml"


@pytest.mark.usefixtures("chain")
def test_forced_stages_run_without_a_change() -> None:
    run()
    state = reproduce.reproduce(["first"], force=True, return_state=True)
    assert last_line(state) == "ran 1 (first)"


@pytest.mark.usefixtures("prefect_server")
def test_sources_are_updated_first(pipeline: Pipeline, tmp_path: Path) -> None:
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
def test_with_two_slots_branches_run_side_by_side(pipeline: Pipeline) -> None:
    meet = "touch {0}; until test -e {1}; do sleep 0.05; done"
    branch = "{{cmd: '" + meet + "', params: [x], outs: [{0}], meta: {{timeout: 3600}}}}"
    pipeline(f"  b1: {branch.format('b1', 'b2')}\n  b2: {branch.format('b2', 'b1')}\n")
    assert run(slots=2).is_completed()


@pytest.mark.usefixtures("prefect_server")
def test_with_one_slot_branches_run_one_after_the_other(pipeline: Pipeline) -> None:
    alone = "{{cmd: 'test ! -e busy && touch busy {0} && sleep 1 && rm busy', outs: [{0}]}}"
    pipeline(f"  b1: {alone.format('b1')}\n  b2: {alone.format('b2')}\n")
    assert run(slots=1).is_completed()


@pytest.mark.usefixtures("prefect_server")
def test_the_longest_path_goes_first(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semaphore, "RESERVE_SECONDS", SECONDS)  # for a slow Prefect
    stage = "  {0}: {{cmd: 'echo {0} >> order; sleep 1; touch {0}', deps: [{1}], outs: [{0}]}}\n"
    short = [stage.format(f"short{number}", "params.yaml") for number in range(4)]
    chain = [stage.format("c1", "params.yaml"), stage.format("c2", "c1"), stage.format("c3", "c2")]
    pipeline("".join([*short, *chain]))
    assert run(slots=1).is_completed()
    order = Path("order").read_text().split()
    # Nothing depends on the last of the chain, as on the short ones: it may run after them.
    assert order[:2] == ["c1", "c2"]
    assert sorted(order[2:]) == ["c3", *(f"short{number}" for number in range(4))]


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize(
    "rounds",
    [pytest.param(1, marks=pytest.mark.services), pytest.param(10, marks=pytest.mark.soak)],
)
def test_eight_concurrent_stages_do_not_collide_on_locks(pipeline: Pipeline, rounds: int) -> None:
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
        assert lock.count(digest) == 2 * len(names)  # a dependency and an output of each


@pytest.mark.usefixtures("prefect_server")
def test_a_change_during_the_run_fails_it(pipeline: Pipeline) -> None:
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
