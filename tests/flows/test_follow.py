"""What follows a run: real Prefect, real MLflow, a table that changes meanwhile."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter
from prefect.client.schemas.objects import State

from fcn import champion, tracking
from flows import follow, notify
from flows.promote import promote
from tests.receiver import Receiver, receiving

ROOT = Path(__file__).parents[2]
CELL = {"row": "digits-fcn8s", "metric": "mean_iou", "published": 62.7, "value": 88.2, "reason": ""}
STAGES = ["train@digits-fcn8s", "table@digits"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store; making its tables takes seconds."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
        tracking.store().search_experiments()
    return path


@pytest.fixture
def project(
    prefect_server: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Settings, a lock file and a store in the current folder; MLflow's client."""
    monkeypatch.chdir(tmp_path)
    for name in ("tables", "data/tables"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("params.yaml", "tables/digits.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    entry = {"cmd": "x", "outs": [{"path": "m", "md5": "0"}]}
    (tmp_path / "dvc.lock").write_text(json.dumps({"stages": {STAGES[0]: entry}}))
    monkeypatch.setattr(tracking, "HERE", tmp_path)
    monkeypatch.setattr(champion, "LOCKS", tmp_path / "locks")
    shutil.copy(store, tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # of the comparison's process
    return tracking.store().MlflowClient()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as opened:
        monkeypatch.setenv(notify.VARIABLE, opened.url)
        yield opened


def write_verdicts(**verdicts: str) -> None:
    cells = [CELL | {"row": row, "verdict": verdict} for row, verdict in verdicts.items()]
    Path("data/tables/digits.json").write_text(json.dumps({"cells": cells}))


@flow
def night(after: dict[str, str], problem: bool = False) -> None:
    with follow.following(["digits"], STAGES) as env:
        (parent,) = follow.registry.parents(env).values()
        client = tracking.store().MlflowClient()
        tags = {"mlflow.parentRunId": parent, "dvc.stage": STAGES[0]}
        experiment = client.get_run(parent).info.experiment_id
        run = client.create_run(experiment, tags=tags)
        client.set_terminated(run.info.run_id)
        write_verdicts(**after)
        if problem:
            raise ValueError("a stage failed")


def artifact(run: Any, key: str) -> str:
    with get_client(sync_client=True) as client:
        (found,) = client.read_artifacts(
            artifact_filter=ArtifactFilter.model_validate(
                {"flow_run_id": {"any_": [str(run)]}, "key": {"any_": [key]}}
            )
        )
    return str(found.data)


def test_runs_are_linked_both_ways_and_changed_verdicts_are_told(
    project: Any, receiver: Receiver
) -> None:
    write_verdicts(a="reproduced", b="missed")
    after = {"a": "missed", "b": "missed", "c": "reproduced"}
    state: State[Any] = night(after, return_state=True)
    assert state.is_completed(), state.message
    assert receiver.events() == ["verdict"]
    assert receiver.heard[0]["text"] == (
        "the table digits changed:\na mean_iou: reproduced -> missed"
    )
    flow_run = state.state_details.flow_run_id
    child, parent = project.search_runs([project.get_experiment_by_name("digits").experiment_id])
    for run in (child, parent):
        assert run.data.tags["prefect.flow_run.id"] == str(flow_run)
        assert run.data.tags["prefect.flow_run.url"].endswith(f"/flow-run/{flow_run}")
    shown = artifact(flow_run, "mlflow-digits")
    assert f"| train@digits-fcn8s | ran | `{child.info.run_id}` |" in shown
    assert parent.info.run_id in shown

    night(after, return_state=True)
    assert receiver.events() == ["verdict"]


def test_after_a_failure_nothing_follows(project: Any, receiver: Receiver) -> None:
    write_verdicts(a="reproduced")
    assert night({"a": "missed"}, True, return_state=True).is_failed()
    assert receiver.heard == []
    (_, parent) = project.search_runs([project.get_experiment_by_name("digits").experiment_id])
    assert parent.info.status == "FAILED"


def test_a_table_without_a_file_of_verdicts_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert follow.verdicts("digits") == {}
    assert follow.changes({}, {("a", "mean_iou"): "missed"}) == []


def register(client: Any, folder: Path) -> None:
    if not client.search_registered_models():
        client.create_registered_model("fcn-digits")
        client.create_experiment("digits")
    experiment = client.get_experiment_by_name("digits").experiment_id
    (folder / "artifacts").mkdir(parents=True)
    run = client.create_run(experiment).info.run_id
    client.create_model_version("fcn-digits", str(folder), run)


def test_a_person_promotes_and_rolls_back(project: Any, receiver: Receiver, tmp_path: Path) -> None:
    for number in range(2):
        register(project, tmp_path / f"model-{number}")
    first = promote("digits", version=1, return_state=True)
    assert (first.name, first.message) == (
        "Promoted",
        "fcn-digits: version 1 is champion: no other",
    )
    assert promote("digits", version=2, anyway=True, return_state=True).name == "Promoted"
    back = promote("digits", rollback=True, return_state=True)
    assert back.message == (
        "fcn-digits: version 1 is champion instead of 2: version 2 was rolled back by a person"
    )
    assert receiver.events() == ["promotion"] * 3
    assert receiver.heard[-1]["text"] == back.message
    assert back.message in artifact(back.state_details.flow_run_id, "promotion-digits")
    assert promote("digits", rollback=True, return_state=True).is_failed()
    unknown = promote("digist", return_state=True)
    assert unknown.is_failed()
    assert "did you mean 'digits'" in unknown.message


def test_models_that_cannot_be_compared_are_told_as_a_problem(
    project: Any, receiver: Receiver, tmp_path: Path
) -> None:
    for number in range(2):
        register(project, tmp_path / f"model-{number}")
        (tmp_path / f"model-{number}/artifacts/m.keras").write_text("damaged")
    promote("digits", version=1)
    state = promote("digits", version=2, return_state=True)  # no records are here
    assert state.is_completed()
    assert "data/records/digits" in state.message or "data/reports/digits" in state.message
    assert "1 stays champion" in state.message
    assert receiver.events() == ["promotion", "failure"]
