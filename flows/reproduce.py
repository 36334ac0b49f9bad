"""Reproduce the tables: run the stages that changed, side by side where the graph allows.

    python -m flows.reproduce [TARGET ...] [--slots 2]      # a target is what `dvc repro` takes

DVC decides what must run and in which order; Prefect runs it, tries again, shows and remembers it.
Without PREFECT_API_URL a Prefect server is started for the time of the run.
"""

import argparse
import re
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.runtime import task_run
from prefect.states import Cancelled, Completed, Failed

from fcn import door, settings
from flows import dvc, follow, graph, notify, temporary_server


class PipelineFailed(RuntimeError):
    """At least one stage failed, or DVC still finds changes after the run."""


@task(name="stage", task_run_name="{stage.name}", cache_policy=NO_CACHE)
def run_stage(stage: graph.Stage, runner: dvc.Runner | None) -> State[None]:
    """Let DVC run one stage; without a runner, just show that there was nothing to do."""
    if runner is None:
        return Completed(name="Cached", message="nothing changed")
    log = get_run_logger()
    log.info("may have to run: %s", stage.reason)
    try:
        if task_run.run_count > 1:
            log.info("trying again in %s s", stage.retry_delay)
            runner.pause(stage.retry_delay)
        ran = runner.reproduce(stage.name, log.info, stage.timeout)
    except dvc.Cancelled:
        return Cancelled()
    except dvc.StageFailed as failure:  # a returned state shows the message without our traceback
        return Failed(message=str(failure))
    return Completed(message="ran") if ran else Completed(name="Cached", message="nothing changed")


@flow(name="reproduce", **notify.HOOKS)
def reproduce(targets: list[str] | None = None, slots: int = 2, push: bool = False) -> State[None]:
    """Bring the targets up to date.

    Args:
        targets: stages, groups or .dvc files, as `dvc repro` takes them; none: everything.
        slots: how many stages may run at once.
        push: in the end send what DVC keeps to its default remote.

    Returns:
        Completed or Failed. The last line of its message says what ran, what was cached and how
        long it took; the lines before it are the failed stages' own messages.
    """
    begin = time.monotonic()
    states: dict[str, State[None]] = {}
    problem = ""
    try:
        tables = settings.active()
        for table in tables:
            settings.load(table)  # refused before DVC trips over what is wrong
        stages = graph.read(targets or ())
        stale = graph.may_run(stages)
        with ExitStack() as stack:
            touched = {settings.table_of(name.partition("@")[2]) for name in stale}
            names = [stage.name for stage in stages]
            env = stack.enter_context(follow.following(sorted(touched & set(tables)), names, push))
            runner = stack.enter_context(dvc.Runner(slots, env))
            states |= run_side_by_side(stages, stale, runner)
            show_tables(stages, states)
            require_success(targets or (), states)
    except (ValueError, PipelineFailed, dvc.StageFailed) as error:
        problem = f"{error}\n"
    message = problem + _summary(states, time.monotonic() - begin)
    return Failed(message=message) if problem else Completed(message=message)


def run_side_by_side(
    stages: Sequence[graph.Stage], stale: Collection[str], runner: dvc.Runner
) -> dict[str, State[None]]:
    """Submit a task per stage, wait for all of them and return how each ended.

    Every task gets a thread, most of which wait for what is upstream; the runner's slots, not the
    threads, limit what runs. Threads limited to the slots would be held by tasks that only wait.
    """
    futures: dict[str, PrefectFuture[State[None]]] = {}
    for stage in stages:  # upstream first
        futures[stage.name] = run_stage.with_options(retries=stage.retries).submit(
            stage,
            runner if stage.name in stale else None,
            wait_for=[futures[name] for name in stage.upstream],
            return_state=False,
        )
    for future in futures.values():
        future.wait()
    return {name: future.state for name, future in futures.items()}


def show_tables(stages: Sequence[graph.Stage], states: Mapping[str, State[None]]) -> None:
    """Make the Markdown file of each finished `table@NAME` an artifact of this flow run."""
    for stage in stages:
        if stage.name.startswith("table@") and states[stage.name].is_completed():
            for path in filter(lambda out: out.endswith(".md"), stage.outs):
                key = re.sub("[^a-z0-9]+", "-", stage.name.lower())  # all that Prefect allows
                create_markdown_artifact(Path(path).read_text("utf-8"), key, description=path)


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
    chosen = parser.parse_args(arguments)
    try:
        temporary_server.start_if_none()
        state = reproduce(**vars(chosen), return_state=True)
    except RuntimeError as error:
        door.fail(str(error))
    except KeyboardInterrupt:
        print("cancelled; every stage has been ended")
        return 130  # what a shell reports after Ctrl-C
    print(state.message)
    return 0 if state.is_completed() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
