"""How the stages of a run ended, and whether anything is left to do."""

from collections.abc import Mapping, Sequence

from prefect.client.schemas.objects import State

from flows.pipeline import graph


class PipelineFailed(RuntimeError):
    """A stage failed, a source could not be updated, or DVC still finds changes after the run."""


def require_success(targets: Sequence[str], states: Mapping[str, State[None]]) -> None:
    """Check that no stage failed and, if any ran, that DVC finds nothing left to do.

    Raises:
        PipelineFailed: with the messages of the failed stages, or the changes that DVC finds.
    """
    outcomes = _outcomes(states)
    if failed := [f"{name}: {states[name].message}" for name in outcomes["failed"]]:
        raise PipelineFailed("\n".join(failed))
    if outcomes["ran"]:
        changed = [
            f"{stage.name}: {stage.reason}"
            for stage in graph.read(targets)
            if not {graph.ALWAYS}.issuperset(stage.changes)
        ]
        if changed:
            raise PipelineFailed("after the run DVC still finds changes\n" + "\n".join(changed))


def summarize(states: Mapping[str, State[None]], seconds: float) -> str:
    """Return one line: how many stages ran, were cached, failed or did not run, and the time."""
    parts = [
        f"{outcome} {len(names)} ({', '.join(names[:8])}{', ...' if len(names) > 8 else ''})"
        for outcome, names in _outcomes(states).items()
        if names
    ]
    return "; ".join([*parts, f"{seconds:.1f} s"])


def _outcomes(states: Mapping[str, State[None]]) -> dict[str, list[str]]:
    outcomes: dict[str, list[str]] = {"ran": [], "cached": [], "failed": [], "not run": []}
    for name, state in states.items():
        if state.is_completed():
            outcomes["cached" if state.name == "Cached" else "ran"].append(name)
        else:
            failed = state.is_failed() or state.is_crashed()
            outcomes["failed" if failed else "not run"].append(name)
    return outcomes
