"""A Prefect server whose database is locked answers 503; the flow and its commands ask again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)
from prefect.states import Running

from flows import reproduce, serve
from flows.serving import resume, servers, state
from tests.busy import Busy, busy

REFUSALS = 7
"""More than a client of Prefect survives by default (5)."""
POOL = "busy"


@pytest.fixture
def proxy(prefect_server: str) -> Iterator[Busy]:
    """The server, behind a proxy that answers 503 to every request first."""
    with busy(prefect_server, REFUSALS) as proxy:
        yield proxy


def test_a_flow_run_survives(proxy: Busy, pipeline: Callable[..., None]) -> None:
    pipeline("  a: {cmd: 'echo 1 > a; echo \"# a\" > a.md', params: [x], outs: [a, a.md]}\n")
    # Logs are sent in the background, also after the end of the proxy.
    with temporary_settings({PREFECT_API_URL: proxy.api, PREFECT_LOGGING_TO_API_ENABLED: False}):
        state = reproduce.reproduce(return_state=True)
    assert state.is_completed(), state.message
    assert state.message.startswith("ran 1 (a)")
    created = {"POST /api/flows/", "POST /api/flow_runs/", "POST /api/artifacts/"}
    assert {proxy.refused[request] for request in created} == {REFUSALS}


def test_deployments_survive(
    proxy: Busy, prefect_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "FOLDER", tmp_path / ".serve")
    with SyncPrefectClient(prefect_server) as client:
        client.create_work_pool(WorkPoolCreate(name=servers.POOL, type="process"))
        with state.register("here", proxy.api):
            assert serve.deploy() == 0
        names = {deployment.name for deployment in client.read_deployments()}
    assert names >= {"nightly", "inbox"}
    assert proxy.refused["POST /api/deployments/"] == REFUSALS


def test_rescheduling_survives(proxy: Busy, prefect_server: str) -> None:
    with SyncPrefectClient(prefect_server) as client:
        pool = client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        flow = client.create_flow(reproduce.reproduce)
        deployment = client.create_deployment(flow, "interrupted", work_pool_name=pool.name)
        run = client.create_flow_run_from_deployment(deployment)
        client.set_flow_run_state(run.id, Running(), force=True)
        assert resume.reschedule(proxy.api, POOL) == [run.name]
        assert client.read_flow_run(run.id).state_name == "Interrupted"
