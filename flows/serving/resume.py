"""Reschedule the flow runs whose worker is gone.

When a worker is killed, its runs end with it, but Prefect shows them as Running for ever. `make
serve` owns the only worker of its pool. So before that worker starts, no run of the pool is alive.
"""

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Cancelled, Crashed, Scheduled

MAX_STARTS = 5
"""How often a run is started, so that one that brings the machine down does not do so for ever."""


def reschedule(api: str, pool: str, auth: str | None = None) -> list[str]:
    """Reschedule the interrupted runs of a work pool to start now; return their names.

    They resume: finished stages are cached, and a training has its checkpoint.
    """
    with SyncPrefectClient(api, auth_string=auth) as client:
        unfinished = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
        runs = client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": unfinished}}}),
            work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": [pool]}}),
        )
        for run in runs:
            client.set_flow_run_state(run.id, _next(run), force=True)
    return [run.name for run in runs]


def _next(run: FlowRun) -> State[None]:
    if run.state_type == StateType.CANCELLING:
        return Cancelled(message="the worker was killed")
    if run.run_count >= MAX_STARTS:
        return Crashed(message=f"the worker was killed {run.run_count} times")
    return Scheduled(name="Interrupted", message="the worker was killed; the run resumes")
