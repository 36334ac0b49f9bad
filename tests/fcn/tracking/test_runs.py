import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fcn.common import files
from fcn.common.text import file_name
from fcn.pictures import overlay
from fcn.records.labels import Labels
from fcn.records.record import DecodedSample
from fcn.tracking import connection, git, runs
from fcn.tracking.store import Store
from tests.waiting import wait_for

ROOT = Path(__file__).parents[3]


@pytest.fixture
def store(mlflow: Any) -> Store:
    return connection.open_store()


def only_run(mlflow: Any, table: str = "toy") -> Any:
    experiment = mlflow.get_experiment_by_name(table)
    (run,) = mlflow.MlflowClient().search_runs([experiment.experiment_id])
    return run


def test_a_run_has_a_name_a_kind_flat_parameters_and_the_commit(
    mlflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_STAGE", "train@toy-fcn32s")
    settings = {"head": "fcn32s", "training": {"epochs": 2, "deep": {"rate": 0.1}}}
    with runs.open_run("train", "toy-fcn32s", "toy", settings):
        pass
    run = only_run(mlflow)
    assert run.info.run_name == "train toy-fcn32s"
    assert run.info.status == "FINISHED"
    assert run.data.params == {
        "head": "fcn32s",
        "training.epochs": "2",
        "training.deep.rate": "0.1",
    }
    ours = {"fcn.kind": "train", "fcn.key": "toy-fcn32s", "dvc.stage": "train@toy-fcn32s"}
    assert (ours | git.tags()).items() <= run.data.tags.items()
    assert "mlflow.parentRunId" not in run.data.tags


def test_a_run_outside_dvc_has_no_stage(mlflow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_STAGE", raising=False)
    with runs.open_run("train", "key", "toy", {}):
        pass
    assert "dvc.stage" not in only_run(mlflow).data.tags


def test_a_run_is_a_child_of_its_tables_parent(
    mlflow: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = mlflow.MlflowClient()
    parents = {
        table: client.create_run(store.experiment(table)).info.run_id for table in ("one", "two")
    }
    monkeypatch.setenv(runs.PARENTS, " ".join(f"{t}:{run}" for t, run in parents.items()))
    for table in parents:
        with runs.open_run("train", "key", table, {}):
            pass
        (child,) = client.search_runs([store.experiment(table)], "tags.`fcn.kind` = 'train'")
        assert child.data.tags["mlflow.parentRunId"] == parents[table]
        assert client.get_run(parents[table]).info.status == "RUNNING"
    with runs.open_run("train", "key", "three", {}):
        pass
    assert "mlflow.parentRunId" not in only_run(mlflow, "three").data.tags


def test_an_exception_marks_the_run_failed_and_is_passed_on(mlflow: Any) -> None:
    with pytest.raises(ZeroDivisionError), runs.open_run("train", "key", "toy", {}):
        _ = 1 / 0
    assert only_run(mlflow).info.status == "FAILED"
    assert mlflow.active_run() is None


def test_metrics_have_steps_and_an_absent_class_is_left_out(mlflow: Any) -> None:
    with runs.open_run("evaluate", "key", "toy", {}) as run:
        run.log_metrics({"loss": 2.0, "iou_7": None}, step=5)
        run.log_metrics({"loss": 1.0}, step=10)
    done = only_run(mlflow)
    assert done.data.metrics == {"loss": 1.0}
    history = mlflow.MlflowClient().get_metric_history(done.info.run_id, "loss")
    assert [(one.step, one.value) for one in history] == [(5, 2.0), (10, 1.0)]


def test_a_picture_is_a_file_of_the_run(mlflow: Any) -> None:
    picture = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    with runs.open_run("evaluate", "key", "toy", {}) as run:
        run.log_picture("val-00001", picture)
    folder = Path(mlflow.artifacts.download_artifacts(run_id=only_run(mlflow).info.run_id))
    with Image.open(folder / "val-00001.png") as kept:
        np.testing.assert_array_equal(np.asarray(kept), np.asarray(picture))


def test_a_validation_picture_is_named_by_epoch_and_sample(mlflow: Any) -> None:
    label = np.zeros((4, 6), np.uint8)
    sample = DecodedSample("val/00001", np.zeros((4, 6, 1), np.uint8), label)
    labels = Labels("toy", ("nothing", "something"), ((0, 0, 0), (255, 0, 0)), 1)
    with runs.open_run("train", "key", "toy", {}) as run:
        run.log_validation_picture(sample, label, labels, 1)
    name = f"epoch-0001-{file_name(sample.id)}"
    folder = Path(mlflow.artifacts.download_artifacts(run_id=only_run(mlflow).info.run_id))
    with Image.open(folder / f"{name}.png") as picture:
        assert picture.size == overlay.draw_comparison(sample, label, labels).size


def test_the_data_is_named_by_folder_hash_and_split(mlflow: Any) -> None:
    fingerprint = hashlib.sha256(b"records").hexdigest()
    with runs.open_run("train", "key", "toy", {}) as run:
        run.log_dataset("digits", Path("data/records/digits"), fingerprint, "train")
    done = only_run(mlflow)
    assert done.data.tags["data.sha256"] == fingerprint
    (data,) = done.inputs.dataset_inputs
    assert data.dataset.name == "digits"
    assert fingerprint.startswith(data.dataset.digest)
    assert json.loads(data.dataset.source)["tags"] == {"dvc.path": "data/records/digits"}
    assert {tag.key: tag.value for tag in data.tags} == {"mlflow.data.context": "train"}


def test_runs_of_a_table_share_its_experiment(store: Store) -> None:
    assert store.experiment("one") == store.experiment("one")
    assert store.experiment("one") != store.experiment("two")


def test_a_store_that_fails_during_training_costs_only_a_warning(
    mlflow: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with runs.open_run("train", "key", "toy", {}) as run:
        run.log_metrics({"loss": 1.0})
        mlflow.MlflowClient().delete_run(only_run(mlflow).info.run_id)
        run.log_metrics({"loss": 0.5})
        run.log_metrics({"loss": 0.2})
    assert capsys.readouterr().err.count("warning: MLflow refused an entry") == 1


def history(mlflow: Any, run: str, name: str) -> list[tuple[int, float]]:
    found = mlflow.MlflowClient().get_metric_history(run, name)
    return [(one.step, one.value) for one in found]


def killed(mlflow: Any, run: str) -> None:
    """Give a run the status of one whose process was killed."""
    mlflow.MlflowClient().set_terminated(run, "RUNNING")


def test_a_killed_run_resumes_without_gaps_or_duplicates_under_the_new_parent(
    mlflow: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = mlflow.MlflowClient()
    experiment = store.experiment("toy")
    parents = [client.create_run(experiment).info.run_id for _ in range(2)]
    monkeypatch.setenv(runs.PARENTS, f"toy:{parents[0]}")
    with runs.open_run("train", "key", "toy", {"rate": 1, "every": 1}) as run:
        first = run.id
        assert first is not None
        run.log_metrics({"loss": 3.0, "late": 1.0}, step=1)
        run.log_metrics({"loss": 2.0}, step=2)
    killed(mlflow, first)
    monkeypatch.setenv(runs.PARENTS, f"toy:{parents[1]}")
    # Another interval of checkpoints changes no result, and no parameter of the run.
    with runs.open_run("train", "key", "toy", {"rate": 1, "every": 2}, resume=first) as run:
        assert run.id == first
        run.log_metrics({"loss": 3.0, "late": 1.0}, step=1)
        run.log_metrics({"loss": 2.0, "late": 0.5}, step=2)
        run.log_metrics({"loss": 1.0}, step=3)
    done = client.get_run(first)
    assert history(mlflow, first, "loss") == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert history(mlflow, first, "late") == [(1, 1.0), (2, 0.5)]
    assert done.info.status == "FINISHED"
    assert done.data.params["every"] == "1"
    assert done.data.tags["mlflow.parentRunId"] == parents[1]
    assert len(client.search_runs([experiment])) == 3


@pytest.mark.parametrize("gone", ["deleted", "unknown"])
def test_a_run_that_is_gone_is_replaced_with_a_warning(
    gone: str, mlflow: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with runs.open_run("train", "key", "toy", {}) as run:
        first = run.id or ""
    if gone == "deleted":
        mlflow.MlflowClient().delete_run(first)
    else:
        first = "0" * 32
    with runs.open_run("train", "key", "toy", {}, resume=first) as run:
        assert run.id not in (None, first)
        run.log_metrics({"loss": 1.0}, step=1)
        assert history(mlflow, run.id or "", "loss") == [(1, 1.0)]
    assert f"warning: MLflow no longer has the run {first}" in capsys.readouterr().err


def test_a_training_logs_system_metrics_and_leaves_no_thread(
    mlflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    client, before_it = mlflow.MlflowClient(), set(threading.enumerate())

    def logged_steps(run: str) -> list[int]:
        name = "system/cpu_utilization_percentage"
        return [one.step for one in client.get_metric_history(run, name)]

    ids: list[str] = []
    for resume in (False, True):
        first = ids[0] if resume else None
        with runs.open_run("train", "key", "toy", {}, resume=first) as run:
            ids.append(run.id or "")
            enough = len(logged_steps(ids[0])) + 2
            wait_for(lambda: len(logged_steps(ids[0])) >= enough)  # noqa: B023  waited for at once
    steps = logged_steps(ids[0])
    assert steps == list(range(len(steps)))
    assert set(threading.enumerate()) <= before_it
    with runs.open_run("evaluate", "key", "toy", {}) as run:
        assert set(threading.enumerate()) <= before_it


def test_a_model_is_logged_once(mlflow: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"weights")
    with runs.open_run("train", "key", "toy", {}) as run:
        first = run.id
        mlflow.set_tag("model.md5", files.md5(path))
    with runs.open_run("train", "key", "toy", {}, resume=first) as run:
        run.log_model(path, 1, "tensorflow")
    assert mlflow.search_logged_models(output_format="list") == []
