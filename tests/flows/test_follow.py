"""What follows a run: real Prefect, real MLflow, a table that changes meanwhile."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from prefect import flow
from prefect.client.schemas.objects import State

from flows import follow
from tests.receiver import Receiver

ROOT = Path(__file__).parents[2]
CELL = {"row": "digits-fcn8s", "metric": "mean_iou", "published": 62.7, "source": "paper"}
STAGES = ["train@digits-fcn8s", "table@digits"]


def write_verdicts(**verdicts: str) -> None:
    cells = [CELL | {"row": row, "verdict": verdict} for row, verdict in verdicts.items()]
    Path("data/tables/digits.json").write_text(json.dumps({"cells": cells}))


@flow
def night(after: dict[str, str], problem: bool = False) -> None:
    with follow.following(["digits"], STAGES) as env:
        (parent,) = follow.runs.parents(env).values()
        client = mlflow.MlflowClient()
        tags = {"mlflow.parentRunId": parent, "dvc.stage": STAGES[0]}
        experiment = client.get_run(parent).info.experiment_id
        run = client.create_run(experiment, tags=tags)
        client.set_terminated(run.info.run_id)
        write_verdicts(**after)
        if problem:
            raise ValueError("a stage failed")


def test_runs_are_linked_both_ways_and_changed_verdicts_are_told(
    project: Any, receiver: Receiver, shown_by: Callable[[Any, str], str]
) -> None:
    write_verdicts(a="reproduced", b="missed")
    after = {"a": "missed", "b": "missed", "c": "reproduced"}
    state: State[Any] = night(after, return_state=True)
    assert state.is_completed(), state.message
    assert receiver.events() == ["verdict"]
    assert receiver.heard[0]["text"] == (
        "the table digits changed:\na mean_iou paper: reproduced -> missed"
    )
    flow_run = state.state_details.flow_run_id
    child, parent = project.search_runs([project.get_experiment_by_name("digits").experiment_id])
    for run in (child, parent):
        assert run.data.tags["prefect.flow_run.id"] == str(flow_run)
        assert run.data.tags["prefect.flow_run.url"].endswith(f"/flow-run/{flow_run}")
    shown = shown_by(flow_run, "mlflow-digits")
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
    assert follow.changes({}, {("a", "", "mean_iou", ""): "missed"}) == []
