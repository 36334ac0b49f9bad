"""A night: schedules fire, kills of everything, a cancelled run, two at once."""

import json
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Cancelling

from tests.services.conftest import Served, wait_for

pytestmark = [pytest.mark.services, pytest.mark.soak]
KEY = "digits-vgg16"


def test_an_interval_and_a_cron_schedule_fire_and_run_the_stages(served: Served) -> None:
    done = wait_for(lambda: fired(served))
    pause(served)
    begun = sorted(done, key=lambda run: run.start_time)
    assert "download@digits, convert@digits, validate@digits" in begun[0].state.message
    assert begun[0].state.message.startswith("ran 3 ")
    assert begun[-1].state.message.startswith("cached 3 ")
    assert served.project.run("dvc", "status", "validate").stdout.strip().endswith("up to date.")


def fired(served: Served) -> list[FlowRun]:
    """The completed runs, once both schedules have made one."""
    with served.client() as client:
        runs = client.read_flow_runs()
        failed = [run for run in runs if run.state_type in (StateType.FAILED, StateType.CRASHED)]
        assert failed == []
        done = [run for run in runs if run.state_type == StateType.COMPLETED]
        deployment = client.read_deployment_by_name("reproduce/nightly")
    wanted = {str(schedule.id) for schedule in deployment.schedules}
    assert len(wanted) == 2
    made = {str(run.created_by.id) for run in done if run.created_by is not None}
    return done if wanted <= made else []


def pause(served: Served) -> None:
    """No more scheduled runs: what follows starts its own."""
    with served.client() as client:
        deployment = client.read_deployment_by_name("reproduce/nightly")
        for schedule in deployment.schedules:
            client.update_deployment_schedule(deployment.id, schedule.id, active=False)
        wait_for(lambda: all_ended(client))
    wait_for(lambda: not served.processes("prefect.engine"))


def all_ended(client: SyncPrefectClient) -> bool:
    """Delete what waits for its turn: on a loaded machine a queue. Say whether nothing is left."""
    kinds = ["SCHEDULED", "PENDING", "RUNNING"]
    filtered = FlowRunFilter.model_validate({"state": {"type": {"any_": kinds}}})
    left = client.read_flow_runs(flow_run_filter=filtered)
    for run in left:
        if run.state_type == StateType.SCHEDULED:
            client.delete_flow_run(run.id)
    return not left


def newest(served: Served) -> int:
    """The step of the newest checkpoint; 0 where there is none."""
    found = (served.project.root / "data/checkpoints" / KEY).glob("*/step-*")
    return max((int(path.name.removeprefix("step-")) for path in found), default=0)


STAGE, DVC, FLOW = "stages.backbone", "-m dvc", "prefect.engine"
WORKER, SERVER = "prefect worker", "prefect server start"


def train_through(served: Served, kills: list[str], wait: Callable[[], float]) -> FlowRun:
    """Train the backbone; after another checkpoint each, kill -9 one process after the other.

    A run that could not go on by itself is followed by another, as the schedule would have it.
    """
    run = served.run(targets=["backbone"])
    for words in kills:
        began = newest(served)
        wait_for(lambda: newest(served) > began)  # noqa: B023  waited for at once
        time.sleep(wait())
        (process,) = wait_for(lambda: served.processes(words))  # noqa: B023
        process.kill()
        psutil.wait_procs([process], timeout=30)
        if words == FLOW:
            assert served.ended(run).state_name == "Crashed"
        if words != SERVER and served.read(run).state.is_final():
            run = served.run(targets=["backbone"])
    return served.ended(run)


def holders(served: Served) -> set[int]:
    """The processes that DVC's lock file names; it forgets the dead ones when one would wait."""
    text = (served.project.root / ".dvc/tmp/rwlock").read_text()
    locks = json.loads(text or "{}")
    readers = [one for names in locks.get("read", {}).values() for one in names]
    return {one["pid"] for one in [*readers, *locks.get("write", {}).values()]}


def require_the_bits_of_an_undisturbed_run(served: Served, done: FlowRun, folder: Path) -> None:
    """Check that a run completed, left nothing behind, and trained what it would have anyhow."""
    assert done.state_name == "Completed", done.state
    assert "ran 1 (backbone@digits-vgg16)" in done.state.message
    wait_for(lambda: not served.processes(FLOW))
    assert newest(served) == 0
    assert served.processes("stages.") == served.processes(DVC) == []
    status = served.project.run("dvc", "status", "backbone").stdout
    assert status.strip().endswith("up to date.")
    assert not any(map(psutil.pid_exists, holders(served)))
    whole = folder / "whole.keras"
    served.project.run(
        *(sys.executable, "-m", "stages.backbone", KEY, "--raw", "data/raw/digits"),
        *("--records", "data/records/digits", "--valid", "data/reports/digits/valid.json"),
        *("--out", str(whole), "--metrics", str(folder / "metrics.json")),
    )
    assert whole.read_bytes() == (served.project.root / f"data/models/{KEY}.keras").read_bytes()


def test_a_training_outlives_the_kill_of_everything_and_ends_with_the_same_bits(
    served: Served, tmp_path: Path
) -> None:
    done = train_through(served, [STAGE, DVC, FLOW, WORKER, SERVER], lambda: 0.0)
    require_the_bits_of_an_undisturbed_run(served, done, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [random.randrange(10**6)])
def test_fifteen_kills_at_random_moments(seed: int, served: Served, tmp_path: Path) -> None:
    chance = random.Random(seed)
    pause(served)
    served.project.edit("params.yaml", "seed: 1337", f"seed: {seed}")
    kills = [STAGE, DVC, FLOW, WORKER, SERVER] * 3
    chance.shuffle(kills)
    done = train_through(served, kills, lambda: chance.uniform(0, 0.5))
    require_the_bits_of_an_undisturbed_run(served, done, tmp_path)


def test_it_is_heard_on_this_machine_only(served: Served) -> None:
    heard = {
        (connection.laddr.ip, connection.laddr.port)
        for process in psutil.Process(served.serving.pid).children(recursive=True)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    ports = {int(url.split(":")[2].removesuffix("/api")) for url in (served.api, served.mlflow)}
    assert ports <= {port for _, port in heard}
    assert {address for address, _ in heard} == {"127.0.0.1"}
    for port in ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
            assert page.status == 200


def test_a_cancelled_run_leaves_nothing(served: Served) -> None:
    run = served.run(targets=["backbone"], force=True)
    wait_for(lambda: newest(served))
    (flow,) = served.processes("prefect.engine")
    family = [flow, *flow.children(recursive=True)]
    with served.client() as client:
        client.set_flow_run_state(run, Cancelling())
    assert psutil.wait_procs(family, timeout=60)[1] == []
    assert served.ended(run).state_name == "Cancelled"


def test_a_second_flow_waits_for_the_first_with_and_without_a_deployment(served: Served) -> None:
    first = served.run(targets=["validate"], force=True)
    wait_for(lambda: served.read(first).state_name == "Running")
    lock = served.project.root / ".dvc/tmp/flow.lock"
    wait_for(lambda: served.read(first).name in lock.read_text())
    second = served.run(targets=["validate"])
    by_hand = served.project.run(
        *("env", f"PREFECT_API_URL={served.api}", sys.executable),
        *("-m", "flows.reproduce", "validate"),
    ).stdout
    assert f"waiting for {served.read(first).name} (process" in by_hand
    done = served.ended(first)
    assert done.state_name == "Completed"
    assert done.end_time is not None
    later = served.ended(second)
    assert later.start_time is not None
    assert later.start_time >= done.end_time - timedelta(seconds=1)


def test_mlflow_knows_the_runs(served: Served) -> None:
    request = urllib.request.Request(
        f"{served.mlflow}/api/2.0/mlflow/runs/search",
        json.dumps({"experiment_ids": ["1"]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        runs = json.loads(answer.read())["runs"]
    assert {run["info"]["run_name"] for run in runs} >= {"reproduce"}


def test_a_taken_workspace_is_refused(served: Served) -> None:
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
