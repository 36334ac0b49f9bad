"""Prefect's tasks: one per stage, and one per source of data."""

from collections.abc import Collection, Sequence
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.runtime import task_run
from prefect.states import Cancelled, Completed, Failed

from flows.pipeline import runner
from flows.pipeline.graph import Source, Stage, sources
from flows.pipeline.progress_bar import ProgressBar
from flows.pipeline.runner import Runner
from flows.pipeline.summary import PipelineFailed

INTERRUPTED = "Interrupted"
"""The name of a failed state after which a retry may succeed."""
CODE = "code"
"""The stage that lists the code of all others."""
ATTEMPTS = 4
"""How often an import is updated at most; a stage has its own number (`meta.retries`)."""


def may_retry(task: Any, run: Any, state: State[None]) -> bool:
    """Whether Prefect may retry a task: not after an error that the stage itself reports."""
    return state.name == INTERRUPTED


@task(name="stage", task_run_name="{stage.name}", cache_policy=NO_CACHE)
def run_stage(stage: Stage, using: Runner | None, force: bool = False) -> State[None]:
    """Let DVC run one stage; without a runner, show that there was nothing to do."""
    if using is None:
        return Completed(name="Cached", message="nothing changed")
    log = get_run_logger()
    log.info("may have to run: %s", stage.reason)
    try:
        if task_run.run_count > 1:
            delay = stage.delay(task_run.run_count - 1)
            log.info("retrying in %s s", delay)
            using.pause(delay)
        ran = using.reproduce(stage.name, ProgressBar(stage.name, log.info), stage.timeout, force)
    except runner.Cancelled:
        return Cancelled()
    except runner.StageFailed as error:
        return _failed(error)
    return Completed(message="ran") if ran else Completed(name="Cached", message="nothing changed")


@task(
    name="update",
    task_run_name="{source.target}",
    cache_policy=NO_CACHE,
    retries=ATTEMPTS - 1,
    retry_delay_seconds=[10, 20, 40],
    retry_condition_fn=may_retry,
)
def update_source(source: Source, using: Runner) -> State[None]:
    """Import one source again, or add it again."""
    try:
        using.update_source(source, get_run_logger().info)
    except runner.Cancelled:
        return Cancelled()
    except runner.StageFailed as error:
        return _failed(error)
    return Completed()


def _failed(error: runner.StageFailed) -> State[None]:
    """Return the state with an error's message; raising would show our traceback as well."""
    name = INTERRUPTED if isinstance(error, runner.Interrupted) else "Failed"
    return Failed(name=name, message=str(error))


def update_sources() -> None:
    """Update every source of data that has or may have changed, one after the other.

    Raises:
        PipelineFailed: a source cannot be reached, or DVC refuses it.
    """
    with Runner() as using:
        for source in sources():
            state = update_source(source, using, return_state=True)
            if not state.is_completed():
                raise PipelineFailed(f"{source.target}: {state.message}")


def list_code(stages: Sequence[Stage]) -> dict[str, State[None]]:
    """Run the stage `code` if code changed, and return its final state; nothing if it did not.

    Only then does DVC know which of the other stages the edit reruns.
    """
    changed = [stage for stage in stages if stage.name == CODE and stage.changed]
    if not changed:
        return {}
    with Runner() as using:
        return run_stages(changed, {CODE}, using)


def run_stages(
    stages: Sequence[Stage], stale: Collection[str], using: Runner, force: bool = False
) -> dict[str, State[None]]:
    """Submit a task per stage, wait for all of them and return their final states.

    Every task gets a thread, most of which wait for tasks upstream. The runner's slots limit how
    many stages run: if there were as many threads as slots, waiting tasks would occupy them all.
    """
    futures: dict[str, PrefectFuture[State[None]]] = {}
    for stage in stages:  # upstream first
        with_retries = run_stage.with_options(retries=stage.retries, retry_condition_fn=may_retry)
        futures[stage.name] = with_retries.submit(
            stage,
            using if stage.name in stale else None,
            force,
            wait_for=[futures[name] for name in stage.upstream],
            return_state=False,
        )
    for future in futures.values():
        future.wait()
    return {name: future.state for name, future in futures.items()}
