"""Reproduce the tables: run the stages that changed, side by side where the graph allows.

    python -m flows.reproduce [TARGET ...]          # targets are those of `dvc repro`
    python -m flows.reproduce --update              # update the sources of data first
    python -m flows.reproduce --set tables/digits.yaml:models.digits-fcn8s.training.epochs=3
    python -m flows.reproduce --verify              # the last commit; compare with its tables

The first two run in the workspace, and replace its results. The others run in a copy of it.
DVC decides what must run and in which order. Prefect runs it, retries it, and shows it.
Without PREFECT_API_URL, a Prefect server is started for the duration of the run.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from typer import Argument, Option

from fcn.cli import command_line
from fcn.settings import reader
from fcn.settings.keys import table_of
from fcn.tracking import connection
from flows.following import artifacts, notify, verdict
from flows.following.follow_up import follow_up
from flows.pipeline import (
    graph,
    overrides,
    reproduction,
    summary,
    tasks,
    trials,
    workspace_lock,
    worktree,
)
from flows.pipeline.runner import Runner, StageFailed
from flows.serving import flow_command

AS_COMMITTED = "--verify runs the last commit as it is; leave out --set and --update"


@flow(name="reproduce", **notify.HOOKS)
def reproduce(
    targets: list[str] | None = None,
    slots: int = 2,
    update: bool = False,
    force: bool = False,
    set: list[str] | None = None,
    push: bool = False,
    verify: bool = False,
) -> State[None]:
    """Bring the targets up to date.

    Args:
        targets: stages, groups or .dvc files, as `dvc repro` takes them; none: everything.
        slots: how many stages may run at once.
        update: first update the sources of data: imports (`dvc import`, `dvc import-url`), and
            what was added with `dvc add` and has changed since.
        force: run the targets and everything upstream also if nothing changed.
        set: settings for this run only, as `dvc exp run -S` takes them, such as
            `tables/digits.yaml:models.digits-fcn8s.training.epochs=3`. The run and its results
            are in a copy under `trials/`.
        push: at the end upload DVC's data to its default remote.
        verify: run the last commit in the copy `reproduction/`, and compare each score of its
            tables with the committed one; Failed if one is not reproduced.

    Returns:
        Completed or Failed. The last line of its message says what ran, what was cached and how
        long it took; the lines before it are the messages of the failed stages.
    """
    start = time.monotonic()
    options = [f"--slots={slots}", *["--force"][:force], *["--push"][:push]]
    if verify:
        if set or update:
            return Failed(message=AS_COMMITTED)
        return run_reproduction(targets or (), options)
    if set:
        return run_trial(set, [*(targets or ()), *options, *["--update"][:update]])
    states: dict[str, State[None]] = {}
    errors = ""
    try:
        tables = require_valid()
        with ExitStack() as stack:
            stack.enter_context(workspace_lock.hold(str(flow_run.name), get_run_logger().info))
            if update:
                tasks.update_sources()
            stages = graph.read(targets or ())
            if states := tasks.list_code(stages):
                summary.require_success([tasks.CODE], states)
                stages = graph.read(targets or ())
            stale = {stage.name for stage in stages} if force else graph.may_run(stages)
            touched = {table_of(name.partition("@")[2]) for name in stale}
            stale_tables = sorted(touched.intersection(tables))
            names = [stage.name for stage in stages]
            env = stack.enter_context(follow_up(stale_tables, names, push))
            dependencies = {
                stage.name: stale.intersection(stage.upstream)
                for stage in stages
                if stage.name in stale
            }
            runner = stack.enter_context(Runner(slots, env, dependencies))
            states = tasks.run_stages(stages, stale, runner, force) | states
            artifacts.publish(stages, states)
            summary.require_success(targets or (), states)
    except (ValueError, summary.PipelineFailed, StageFailed) as error:
        errors = f"{error}\n"
    message = errors + summary.summarize(states, time.monotonic() - start)
    return Failed(message=message) if errors else Completed(message=message)


def require_valid(targets: Sequence[str] = (), set: Sequence[str] = ()) -> list[str]:
    """Check the settings of all active tables, and what a person named; return the tables' names.

    Raises:
        ValueError: a wrong setting, or an unknown target.
    """
    tables = reader.active()
    for table in tables:
        reader.load(table)  # our error messages say more than DVC's
    if set:
        overrides.require_valid(set)
    if targets:
        graph.require_targets(targets)
    return tables


def run_trial(settings: Sequence[str], arguments: Sequence[str]) -> State[None]:
    """Run the flow with other settings in a copy of the workspace."""
    log = get_run_logger()
    try:
        folder = trials.prepare(settings)
    except ValueError as error:
        return Failed(message=str(error))
    log.info("running with these settings in %s, which keeps the results", folder)
    code, last = worktree.run(folder, arguments, log.info)
    return (Failed if code else Completed)(message=f"{last}\nin {folder}")


def run_reproduction(targets: Sequence[str], options: Sequence[str]) -> State[None]:
    """Run the flow on the last commit in a copy, and compare the results with the commit's."""
    log = get_run_logger()
    try:
        with reproduction.hold(str(flow_run.name), log.info):
            if names := reproduction.uncommitted():
                shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
                log.warning(
                    f"{len(names)} changed file(s) are not part of the last commit, which is what "
                    f"runs: {shown}; `dvc repro` runs them in the workspace"
                )
            folder = reproduction.prepare(targets)
            log.info("reproducing the last commit in %s/, which keeps the results", folder)
            arguments = [*targets, *options]
            code, last = worktree.run(folder, arguments, log.info, connection.address())
            message = f"{last}\nin {folder}"
            if code:
                return Failed(message=message)
            if not (tables := reproduction.tables_of(targets, folder)):
                return Completed(message=f"{message}; no table to compare: name table@NAME")
            judged = verdict.judge(tables, folder)
    except ValueError as error:
        return Failed(message=str(error))
    return (Completed if judged.reproduced else Failed)(message=f"{message}\n\n{judged.text}")


def main(
    targets: Annotated[
        list[str] | None, Argument(metavar="TARGET", help="As for `dvc repro`. Default: all.")
    ] = None,
    slots: Annotated[int, Option(help="How many stages may run at once.")] = 2,
    push: Annotated[bool, Option("--push", help="Run `dvc push` at the end.")] = False,
    update: Annotated[bool, Option("--update", help="Update the sources of data first.")] = False,
    force: Annotated[bool, Option("--force", help="Run unchanged stages too.")] = False,
    set: Annotated[
        list[str] | None,
        Option(
            metavar="FILE:KEY=VALUE",
            help="A setting for this run only, in a copy under trials/. May be repeated.",
        ),
    ] = None,
    verify: Annotated[
        bool,
        Option("--verify", help="Run the last commit in reproduction/; compare with its tables."),
    ] = False,
) -> int:
    """Run the flow; return the exit code."""
    if verify and (set or update):
        raise ValueError(AS_COMMITTED)
    if not verify:  # which runs other files: those of the last commit
        require_valid(targets or (), set or ())  # a typo is refused before a server starts
    return flow_command.run(
        reproduce,
        "cancelled; all stages have been ended",
        meanwhile=graph.import_dvc,
        targets=targets,
        slots=slots,
        push=push,
        update=update,
        force=force,
        set=set,
        verify=verify,
    )


if __name__ == "__main__":
    command_line.run(main, outlives_parent=True)
