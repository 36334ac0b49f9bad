"""A training whose processes and servers are killed one by one ends with the same bits."""

import json
import random
import re
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import httpx
import psutil
import pytest
from prefect.client.schemas.objects import FlowRun

from tests.services.conftest import EPOCHS, KEY, Served, newest
from tests.waiting import gone, wait_for

pytestmark = pytest.mark.services
STAGE, DVC, FLOW = "stages.backbone", "-m dvc", "prefect.engine"
WORKER, SERVER, MLFLOW = "prefect worker", "prefect server start", "-m mlflow server"
NEWEST = "attributes.start_time DESC"
LOCKED = "Prefect's database is locked"


def train_through(served: Served, troubles: list[str], wait: Callable[[], float]) -> FlowRun:
    """Train the backbone; kill -9 one process after the other, each after a new checkpoint.

    A failed run is followed by another one, as the schedule would start it.
    """
    run = served.run(targets=["backbone"])
    for trouble in troubles:
        run = train_on(served, run)
        if trouble == LOCKED:
            with sqlite3.connect(served.project.root / ".prefect/prefect.db") as connection:
                connection.execute("begin exclusive")
                began = newest(served.project)
                wait_for(lambda: newest(served.project) > began)  # noqa: B023  waited for at once
            continue
        time.sleep(wait())
        (process,) = wait_for(lambda: served.processes(trouble))  # noqa: B023
        process.kill()
        assert gone(process)
        if trouble == FLOW:
            assert served.ended(run).state_name == "Crashed"
    return finished(served, run)


def train_on(served: Served, run: UUID) -> UUID:
    """Wait for another checkpoint; return the run that made it, a new run if this one failed."""
    began = newest(served.project)

    def trained() -> bool:
        nonlocal run
        if newest(served.project) > began:
            return True
        run = another(served, run)
        return False

    wait_for(trained)
    return run


def finished(served: Served, run: UUID) -> FlowRun:
    """Return the run that finishes the training: this one, or one that replaces it."""
    for _ in range(3):
        done = served.ended(run)
        if done.state_name == "Completed":
            break
        run = another(served, run)
    return done


def another(served: Served, run: UUID) -> UUID:
    """Start a run in place of a failed one, as the schedule would; return the current one."""
    state = served.read(run).state
    assert state is not None
    assert not state.is_completed(), state
    return served.run(targets=["backbone"]) if state.is_final() else run


def holders(served: Served) -> set[int]:
    """The processes that DVC's lock file names; DVC removes ended ones when another would wait."""
    text = (served.project.root / ".dvc/tmp/rwlock").read_text()
    locks = json.loads(text or "{}")
    readers = [entry for entries in locks.get("read", {}).values() for entry in entries]
    return {entry["pid"] for entry in [*readers, *locks.get("write", {}).values()]}


def require_the_bits_of_an_undisturbed_run(served: Served, done: FlowRun, folder: Path) -> None:
    """Check that a run completed, left nothing behind, and made the undisturbed run's model."""
    assert done.state_name == "Completed", done.state
    assert "ran 1 (backbone@digits-vgg16)" in done.state.message
    wait_for(lambda: not served.processes(FLOW))
    assert newest(served.project) == 0
    assert served.processes("stages.") == served.processes(DVC) == []
    status = served.project.run("dvc", "status", "backbone").stdout
    assert status.strip().endswith("up to date.")
    assert not any(map(psutil.pid_exists, holders(served)))
    undisturbed = folder / "undisturbed.keras"
    served.project.run(
        *(sys.executable, "-m", "stages.backbone", KEY, "--raw", "data/raw/digits"),
        *("--records", "data/records/digits", "--valid", "data/reports/digits/valid.json"),
        *("--out", str(undisturbed), "--metrics", str(folder / "metrics.json")),
    )
    assert (
        undisturbed.read_bytes() == (served.project.root / f"data/models/{KEY}.keras").read_bytes()
    )


def require_a_whole_curve(served: Served) -> None:
    """Check that MLflow has every epoch's loss once, although its server was killed."""
    url = f"{served.mlflow}/api/2.0/mlflow"
    finished = f"tags.`fcn.key` = '{KEY}' and attributes.status = 'FINISHED'"
    query = {
        "experiment_ids": ["1"],
        "filter": finished,
        "order_by": ["attributes.start_time DESC"],
    }
    runs = httpx.post(f"{url}/runs/search", json=query).json()["runs"]
    metric = {"run_id": runs[0]["info"]["run_id"], "metric_key": "loss"}
    curve = httpx.get(f"{url}/metrics/get-history", params=metric).json()["metrics"]
    steps = [int(point["step"]) for point in curve]
    assert len(steps) == EPOCHS
    assert steps == sorted(set(steps))


def test_a_training_survives_kills_of_servers_and_worker_with_the_same_bits(
    served: Served, tmp_path: Path
) -> None:
    done = train_through(served, [WORKER, SERVER, MLFLOW], lambda: 0.0)
    require_the_bits_of_an_undisturbed_run(served, done, tmp_path)
    require_a_whole_curve(served)


@pytest.mark.soak
def test_a_training_survives_the_kill_of_everything_with_the_same_bits(
    served: Served, tmp_path: Path
) -> None:
    another_seed(served, 1)
    done = train_through(served, [STAGE, DVC, FLOW, WORKER, LOCKED, SERVER], lambda: 0.0)
    require_the_bits_of_an_undisturbed_run(served, done, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [random.randrange(10**6)])
def test_fifteen_kills_at_random_moments(seed: int, served: Served, tmp_path: Path) -> None:
    chance = random.Random(seed)
    another_seed(served, seed)
    kills = [STAGE, DVC, FLOW, WORKER, SERVER] * 3
    chance.shuffle(kills)
    done = train_through(served, kills, lambda: chance.uniform(0, 0.5))
    require_the_bits_of_an_undisturbed_run(served, done, tmp_path)


def another_seed(served: Served, seed: int) -> None:
    """Change the seed, so that the training starts again."""
    path = served.project.root / "params.yaml"
    path.write_text(re.sub(r"^seed: \d+", f"seed: {seed}", path.read_text("utf-8"), flags=re.M))
