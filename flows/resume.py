"""Take up again the flow runs whose worker is gone.

A worker that is killed takes its runs with it, and nobody tells Prefect: they would be Running for
ever. `make serve` owns the only worker of its pool, so whatever runs there while it is not started
runs no more.
"""

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Cancelled, Crashed, Scheduled

TIMES = 5
"""How often a run is begun; one that takes the machine down with it must come to an end."""


def interrupted(api: str, pool: str, auth: str | None = None) -> list[str]:
    """Schedule the interrupted runs of a work pool again, now; return their names.

    They go on where they stood: what is done is cached, a training has its checkpoint.
    """
    with SyncPrefectClient(api, auth_string=auth) as client:
        kinds = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
        found = client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": kinds}}}),
            work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": [pool]}}),
        )
        for run in found:
            client.set_flow_run_state(run.id, _next(run), force=True)
    return [run.name for run in found]


def _next(run: FlowRun) -> State[None]:
    if run.state_type == StateType.CANCELLING:
        return Cancelled(message="its worker was gone")
    if run.run_count >= TIMES:
        return Crashed(message=f"its worker was gone, {run.run_count} times")
    return Scheduled(name="Interrupted", message="its worker was gone; it is taken up again")
