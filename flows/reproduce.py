"""Reproduce the tables: run the stages that changed, side by side where the graph allows.

    python -m flows.reproduce [TARGET ...]          # a target is what `dvc repro` takes
    python -m flows.reproduce --update              # first bring in what is new
    python -m flows.reproduce --set tables/digits.yaml:models.digits-fcn8s.training.epochs=3

DVC decides what must run and in which order; Prefect runs it, tries again, shows and remembers it.
Without PREFECT_API_URL a Prefect server is started for the time of the run.
"""

import argparse
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run, task_run
from prefect.states import Cancelled, Completed, Failed

from fcn.common import messages
from fcn.settings import reader
from fcn.settings.keys import table_of
from flows import dvc, follow, graph, notify, show, temporary_server, trials, turns

INTERRUPTED = "Interrupted"
"""The name of a failed state that another try may mend."""
TRIES = 4
"""How often an import is asked for news; stages say it themselves (`meta.retries`)."""


class PipelineFailed(RuntimeError):
    """At least one stage failed, or DVC still finds changes after the run."""


def try_again(task: Any, run: Any, state: State[None]) -> bool:
    """Whether Prefect shall try a task again: not where the stage itself says what is wrong."""
    return state.name == INTERRUPTED


@task(name="stage", task_run_name="{stage.name}", cache_policy=NO_CACHE)
def run_stage(stage: graph.Stage, runner: dvc.Runner | None, force: bool = False) -> State[None]:
    """Let DVC run one stage; without a runner, just show that there was nothing to do."""
    if runner is None:
        return Completed(name="Cached", message="nothing changed")
    log = get_run_logger()
    log.info("may have to run: %s", stage.reason)
    try:
        if task_run.run_count > 1:
            pause = stage.pause(task_run.run_count - 1)
            log.info("trying again in %s s", pause)
            runner.pause(pause)
        bar = show.Bar(stage.name, log.info)
        ran = runner.reproduce(stage.name, bar, stage.timeout, force)
    except dvc.Cancelled:
        return Cancelled()
    except dvc.StageFailed as failure:  # a returned state shows the message without our traceback
        return failed(failure)
    return Completed(message="ran") if ran else Completed(name="Cached", message="nothing changed")


@task(
    name="update",
    task_run_name="{source.target}",
    cache_policy=NO_CACHE,
    retries=TRIES - 1,
    retry_delay_seconds=[10, 20, 40],
    retry_condition_fn=try_again,
)
def renew(source: graph.Source, runner: dvc.Runner) -> State[None]:
    """Bring in what is new at one source."""
    try:
        runner.renew(source, get_run_logger().info)
    except dvc.Cancelled:
        return Cancelled()
    except dvc.StageFailed as failure:
        return failed(failure)
    return Completed()


def failed(failure: dvc.StageFailed) -> State[None]:
    """Return the state that shows a failure's message."""
    name = INTERRUPTED if isinstance(failure, dvc.Interrupted) else "Failed"
    return Failed(name=name, message=str(failure))


@flow(name="reproduce", **notify.HOOKS)
def reproduce(
    targets: list[str] | None = None,
    slots: int = 2,
    update: bool = False,
    force: bool = False,
    set: list[str] | None = None,
    push: bool = False,
) -> State[None]:
    """Bring the targets up to date.

    Args:
        targets: stages, groups or .dvc files, as `dvc repro` takes them; none: everything.
        slots: how many stages may run at once.
        update: first bring in what is new: imports (`dvc import`, `dvc import-url`), and what was
            added with `dvc add` and has changed since.
        force: run the targets and what they need also where nothing changed.
        set: settings for this run only, as `dvc exp run -S` takes them, such as
            `tables/digits.yaml:models.digits-fcn8s.training.epochs=3`. The run takes place in a
            copy under `trials/`, and its results stay there.
        push: in the end send what DVC keeps to its default remote.

    Returns:
        Completed or Failed. The last line of its message says what ran, what was cached and how
        long it took; the lines before it are the failed stages' own messages.
    """
    begin = time.monotonic()
    if set:
        options = [f"--slots={slots}", *["--update"][:update], *["--force"][:force]]
        options += ["--push"][:push]
        return try_out(set, [*(targets or ()), *options])
    states: dict[str, State[None]] = {}
    problem = ""
    try:
        tables = reader.active()
        for table in tables:
            reader.load(table)  # refused before DVC trips over what is wrong
        with ExitStack() as stack:
            stack.enter_context(turns.turn(str(flow_run.name), get_run_logger().info))
            if update:
                bring_in_news()
            stages = graph.read(targets or ())
            stale = {stage.name for stage in stages} if force else graph.may_run(stages)
            touched = {table_of(name.partition("@")[2]) for name in stale}
            names = [stage.name for stage in stages]
            touched_tables = sorted(touched.intersection(tables))
            env = stack.enter_context(follow.following(touched_tables, names, push))
            needs = {
                stage.name: stale.intersection(stage.upstream)
                for stage in stages
                if stage.name in stale
            }
            runner = stack.enter_context(dvc.Runner(slots, env, needs))
            states |= run_side_by_side(stages, stale, runner, force)
            show.results(stages, states)
            require_success(targets or (), states)
    except (ValueError, PipelineFailed, dvc.StageFailed) as error:
        problem = f"{error}\n"
    message = problem + _summary(states, time.monotonic() - begin)
    return Failed(message=message) if problem else Completed(message=message)


def try_out(changes: Sequence[str], arguments: Sequence[str]) -> State[None]:
    """Run the flow with other settings in a copy of the workspace."""
    log = get_run_logger()
    try:
        folder = trials.prepare(changes)
    except ValueError as error:
        return Failed(message=str(error))
    log.info("%s has these settings; the results stay there", folder)
    code, last = trials.run(folder, arguments, log.info)
    return (Failed if code else Completed)(message=f"{last}\nin {folder}")


def bring_in_news() -> None:
    """Renew every source of data that has or may have news, one after the other.

    Raises:
        PipelineFailed: one cannot be reached, or DVC refuses it.
    """
    with dvc.Runner() as runner:
        for source in graph.sources():
            state = renew(source, runner, return_state=True)
            if not state.is_completed():
                raise PipelineFailed(f"{source.target}: {state.message}")


def run_side_by_side(
    stages: Sequence[graph.Stage],
    stale: Collection[str],
    runner: dvc.Runner,
    force: bool = False,
) -> dict[str, State[None]]:
    """Submit a task per stage, wait for all of them and return how each ended.

    Every task gets a thread, most of which wait for what is upstream; the runner's slots, not the
    threads, limit what runs. Threads limited to the slots would be held by tasks that only wait.
    """
    futures: dict[str, PrefectFuture[State[None]]] = {}
    for stage in stages:  # upstream first
        tries = run_stage.with_options(retries=stage.retries, retry_condition_fn=try_again)
        futures[stage.name] = tries.submit(
            stage,
            runner if stage.name in stale else None,
            force,
            wait_for=[futures[name] for name in stage.upstream],
            return_state=False,
        )
    for future in futures.values():
        future.wait()
    return {name: future.state for name, future in futures.items()}


def require_success(targets: Sequence[str], states: Mapping[str, State[None]]) -> None:
    """Check that no stage failed and, if any ran, that DVC finds nothing left to do.

    Raises:
        PipelineFailed: with the messages of the failed stages, or what DVC finds.
    """
    failed = [f"{name}: {states[name].message}" for name in _ended(states)["failed"]]
    if failed:
        raise PipelineFailed("\n".join(failed))
    if _ended(states)["ran"]:
        left = [
            f"{stage.name}: {stage.reason}"
            for stage in graph.read(targets)
            if not {graph.ALWAYS}.issuperset(stage.changes)
        ]
        if left:
            raise PipelineFailed("after the run DVC still finds changes\n" + "\n".join(left))


def _ended(states: Mapping[str, State[None]]) -> dict[str, list[str]]:
    ways: dict[str, list[str]] = {"ran": [], "cached": [], "failed": [], "not run": []}
    for name, state in states.items():
        if state.is_completed():
            ways["cached" if state.name == "Cached" else "ran"].append(name)
        else:
            ways["failed" if state.is_failed() or state.is_crashed() else "not run"].append(name)
    return ways


def _summary(states: Mapping[str, State[None]], seconds: float) -> str:
    ways = [
        f"{way} {len(names)} ({', '.join(names[:8])}{', ...' if len(names) > 8 else ''})"
        for way, names in _ended(states).items()
        if names
    ]
    return "; ".join([*ways, f"{seconds:.1f} s"])


def main(arguments: Sequence[str]) -> int:
    """Run the flow; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m flows.reproduce", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="as for `dvc repro`")
    parser.add_argument("--slots", type=int, default=2, help="stages at once (%(default)s)")
    parser.add_argument("--push", action="store_true", help="`dvc push` in the end")
    parser.add_argument("--update", action="store_true", help="first bring in what is new")
    parser.add_argument("--force", action="store_true", help="run also what did not change")
    parser.add_argument(
        "--set",
        action="append",
        metavar="FILE:KEY=VALUE",
        help="a setting for this run, in a copy under trials/; may be given again",
    )
    chosen = parser.parse_args(arguments)
    try:
        temporary_server.start_if_none()
        state = reproduce(**vars(chosen), return_state=True)
    except RuntimeError as error:
        messages.fail(str(error))
    except KeyboardInterrupt:
        print("cancelled; every stage has been ended")
        return 130  # what a shell reports after Ctrl-C
    print(state.message)
    return 0 if state.is_completed() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
