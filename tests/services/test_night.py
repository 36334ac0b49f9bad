"""Unattended operation: schedules, a cancelled run, two runs at once."""

import json
import subprocess
import sys
import urllib.request
from contextlib import suppress
from datetime import timedelta

import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Cancelling

from tests.services.conftest import Served, newest
from tests.waiting import gone, wait_for

pytestmark = pytest.mark.services
ENDED = FlowRunFilter.model_validate(
    {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}
)


def test_an_interval_and_a_cron_schedule_run_the_stages(served: Served) -> None:
    switch(served, on=True)
    done = wait_for(lambda: fired(served))
    switch(served, on=False)
    messages = [run.state.message for run in done]
    assert all(message.startswith(("ran 4 ", "cached 4 ")) for message in messages)
    path = served.project.root / ".serve/worker.log"
    stages = "4 (code, download@digits, convert@digits, validate@digits)"
    wait_for(lambda: f"cached {stages}" in path.read_text("utf-8"))
    assert path.read_text("utf-8").count(f"ran {stages}") == 1
    assert served.project.run("dvc", "status", "validate").stdout.strip().endswith("up to date.")


def fired(served: Served) -> list[FlowRun]:
    """The completed runs of the two schedules, once there is one of each."""
    with served.client() as client:
        runs = client.read_flow_runs(flow_run_filter=ENDED)  # hundreds are scheduled
        deployment = client.read_deployment_by_name("reproduce/nightly")
    schedules = {schedule.id for schedule in deployment.schedules}
    assert len(schedules) == 2
    scheduled = [
        run for run in runs if run.created_by is not None and run.created_by.id in schedules
    ]
    assert not [run for run in scheduled if run.state_type in (StateType.FAILED, StateType.CRASHED)]
    done = [run for run in scheduled if run.state_type == StateType.COMPLETED]
    return done if {run.created_by.id for run in done if run.created_by} == schedules else []


def switch(served: Served, *, on: bool) -> None:
    """Switch the schedules on, or off and wait until no run is left."""
    with served.client() as client:
        deployment = client.read_deployment_by_name("reproduce/nightly")
        for schedule in deployment.schedules:
            client.update_deployment_schedule(deployment.id, schedule.id, active=on)
        wait_for(lambda: on or all_ended(client))
    wait_for(lambda: on or not served.processes("prefect.engine"))


def all_ended(client: SyncPrefectClient) -> bool:
    """Delete the runs that have not started; return whether no other is left."""
    unfinished = ["SCHEDULED", "PENDING", "RUNNING"]
    filtered = FlowRunFilter.model_validate({"state": {"type": {"any_": unfinished}}})
    left = client.read_flow_runs(flow_run_filter=filtered)
    for run in left:
        if run.state_type == StateType.SCHEDULED:
            client.delete_flow_run(run.id)
    return not left


def test_the_servers_listen_on_loopback_only(served: Served) -> None:
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for process in psutil.Process(served.serving.pid).children(recursive=True)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    ports = {int(url.split(":")[2].removesuffix("/api")) for url in (served.api, served.mlflow)}
    assert ports <= {port for _, port in listening}
    assert {address for address, _ in listening} == {"127.0.0.1"}
    for port in ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
            assert page.status == 200


def test_cancelling_a_run_ends_all_its_processes(served: Served) -> None:
    run = served.run(targets=["backbone"], force=True)
    wait_for(lambda: newest(served.project))
    (flow,) = served.processes("prefect.engine")
    family = [flow, *flow.children(recursive=True)]
    with served.client() as client:
        client.set_flow_run_state(run, Cancelling())
    assert gone(*family)
    assert served.ended(run).state_name == "Cancelled"


def test_a_second_run_waits_for_the_first_with_and_without_a_deployment(served: Served) -> None:
    first = served.run(targets=["validate"], force=True)
    name, lock = served.read(first).name, served.project.root / ".dvc/tmp/flow.lock"
    wait_for(lambda: lock.exists() and name in lock.read_text("utf-8"))
    (flow,) = served.processes("prefect.engine")
    flow.suspend()  # until the other two wait for it
    try:
        second = served.run(targets=["download"])
        with subprocess.Popen(
            [sys.executable, "-m", "flows.reproduce", "download"],
            cwd=served.project.root,
            env=served.project.env() | {"PREFECT_API_URL": served.api},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as by_hand:
            assert by_hand.stdout is not None
            assert any(f"waiting for {name} (process" in line for line in by_hand.stdout)
            wait_for(lambda: served.read(second).state_name == "AwaitingConcurrencySlot")
            flow.resume()
            by_hand.communicate()
        assert by_hand.returncode == 0
    finally:
        with suppress(psutil.NoSuchProcess):
            flow.resume()
    done = served.ended(first)
    assert done.state_name == "Completed"
    assert done.end_time is not None
    later = served.ended(second)
    assert later.start_time is not None
    assert later.start_time >= done.end_time - timedelta(seconds=1)


def test_mlflow_has_the_runs(served: Served) -> None:
    request = urllib.request.Request(
        f"{served.mlflow}/api/2.0/mlflow/runs/search",
        json.dumps({"experiment_ids": ["1"]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        runs = json.loads(answer.read())["runs"]
    assert {run["info"]["run_name"] for run in runs} >= {"reproduce"}


def test_a_workspace_that_is_served_already_is_refused(served: Served) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.serve", "--prefect-port=0", "--mlflow-port=0"],
        cwd=served.project.root,
        env=served.project.env(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"served already, by process {served.serving.pid}" in done.stderr
