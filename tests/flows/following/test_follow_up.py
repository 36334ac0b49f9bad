"""After a run, on real Prefect and MLflow, with a table that changes meanwhile."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from prefect import flow
from prefect.client.schemas.objects import State

from flows.following import follow_up
from tests.receiver import Receiver

CELL = {"row": "digits-fcn8s", "metric": "mean_iou", "published": 62.7, "source": "paper"}
STAGES = ["train@digits-fcn8s", "table@digits"]


def write_verdicts(**verdicts: str) -> None:
    cells = [CELL | {"row": row, "verdict": verdict} for row, verdict in verdicts.items()]
    Path("data/tables/digits.json").write_text(json.dumps({"cells": cells}))


@flow
def run(after: dict[str, str], fails: bool = False) -> None:
    with follow_up.follow_up(["digits"], STAGES) as env:
        (parent,) = follow_up.runs.parents(env).values()
        client = mlflow.MlflowClient()
        tags = {"mlflow.parentRunId": parent, "dvc.stage": STAGES[0]}
        experiment = client.get_run(parent).info.experiment_id
        child = client.create_run(experiment, tags=tags)
        client.set_terminated(child.info.run_id)
        write_verdicts(**after)
        if fails:
            raise ValueError("a stage failed")


def test_runs_are_linked_both_ways_and_changed_verdicts_are_reported(
    project: Any, receiver: Receiver, read_artifact: Callable[[Any, str], str]
) -> None:
    write_verdicts(a="reproduced", b="missed")
    after = {"a": "missed", "b": "missed", "c": "reproduced"}
    state: State[Any] = run(after, return_state=True)
    assert state.is_completed(), state.message
    assert receiver.events() == ["verdict"]
    assert receiver.received[0]["text"] == (
        "the table digits changed:\na mean_iou paper: reproduced -> missed"
    )
    flow_run = state.state_details.flow_run_id
    child, parent = project.search_runs([project.get_experiment_by_name("digits").experiment_id])
    for made in (child, parent):
        assert made.data.tags["prefect.flow_run.id"] == str(flow_run)
        assert made.data.tags["prefect.flow_run.url"].endswith(f"/flow-run/{flow_run}")
    shown = read_artifact(flow_run, "mlflow-digits")
    assert f"| train@digits-fcn8s | ran | `{child.info.run_id}` |" in shown
    assert parent.info.run_id in shown

    run(after, return_state=True)
    assert receiver.events() == ["verdict"]


def test_a_failed_run_reports_no_verdict(project: Any, receiver: Receiver) -> None:
    write_verdicts(a="reproduced")
    assert run({"a": "missed"}, True, return_state=True).is_failed()
    assert receiver.received == []
    (_, parent) = project.search_runs([project.get_experiment_by_name("digits").experiment_id])
    assert parent.info.status == "FAILED"


def test_a_table_without_a_file_has_no_verdicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert follow_up.verdicts("digits") == {}
    assert follow_up.changes({}, {("a", "", "mean_iou", ""): "missed"}) == []
