"""Reproduce the tables: run the stages that changed, side by side where the graph allows.

    python -m flows.reproduce [TARGET ...]          # targets are those of `dvc repro`
    python -m flows.reproduce --update              # update the sources of data first
    python -m flows.reproduce --set tables/digits.yaml:models.digits-fcn8s.training.epochs=3

DVC decides what must run and in which order. Prefect runs it, retries it, and shows it.
Without PREFECT_API_URL, a Prefect server is started for the duration of the run.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from fcn.common import messages
from fcn.settings import reader
from fcn.settings.keys import table_of
from flows.following import artifacts, notify
from flows.following.follow_up import follow_up
from flows.pipeline import graph, summary, tasks, trials, workspace_lock
from flows.pipeline.runner import Runner, StageFailed
from flows.serving import temporary_server


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
        update: first update the sources of data: imports (`dvc import`, `dvc import-url`), and
            what was added with `dvc add` and has changed since.
        force: run the targets and everything upstream also if nothing changed.
        set: settings for this run only, as `dvc exp run -S` takes them, such as
            `tables/digits.yaml:models.digits-fcn8s.training.epochs=3`. The run and its results
            are in a copy under `trials/`.
        push: at the end upload DVC's data to its default remote.

    Returns:
        Completed or Failed. The last line of its message says what ran, what was cached and how
        long it took; the lines before it are the messages of the failed stages.
    """
    start = time.monotonic()
    if set:
        options = [f"--slots={slots}", *["--update"][:update], *["--force"][:force]]
        return run_trial(set, [*(targets or ()), *options, *["--push"][:push]])
    states: dict[str, State[None]] = {}
    errors = ""
    try:
        tables = reader.active()
        for table in tables:
            reader.load(table)  # our error messages say more than DVC's
        with ExitStack() as stack:
            stack.enter_context(workspace_lock.hold(str(flow_run.name), get_run_logger().info))
            if update:
                tasks.update_sources()
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
            states |= tasks.run_stages(stages, stale, runner, force)
            artifacts.publish(stages, states)
            summary.require_success(targets or (), states)
    except (ValueError, summary.PipelineFailed, StageFailed) as error:
        errors = f"{error}\n"
    message = errors + summary.summarize(states, time.monotonic() - start)
    return Failed(message=message) if errors else Completed(message=message)


def run_trial(settings: Sequence[str], arguments: Sequence[str]) -> State[None]:
    """Run the flow with other settings in a copy of the workspace."""
    log = get_run_logger()
    try:
        folder = trials.prepare(settings)
    except ValueError as error:
        return Failed(message=str(error))
    log.info("running with these settings in %s, which keeps the results", folder)
    code, last = trials.run(folder, arguments, log.info)
    return (Failed if code else Completed)(message=f"{last}\nin {folder}")


def main(arguments: Sequence[str]) -> int:
    """Run the flow; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.reproduce",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="as for `dvc repro`")
    parser.add_argument("--slots", type=int, default=2, help="stages at once (%(default)s)")
    parser.add_argument("--push", action="store_true", help="`dvc push` at the end")
    parser.add_argument("--update", action="store_true", help="update the sources of data first")
    parser.add_argument("--force", action="store_true", help="run also what has not changed")
    parser.add_argument(
        "--set",
        action="append",
        metavar="FILE:KEY=VALUE",
        help="a setting for this run, in a copy under trials/; may be repeated",
    )
    parameters = vars(parser.parse_args(arguments))
    try:
        temporary_server.start_if_none()
        state = reproduce(**parameters, return_state=True)
    except RuntimeError as error:
        messages.fail(str(error))
    except KeyboardInterrupt:
        print("cancelled; all stages have been ended")
        return 130  # a shell's exit code after Ctrl-C
    print(state.message)
    return 0 if state.is_completed() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
