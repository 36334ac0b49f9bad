import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fcn.tracking import runs

ROOT = Path(__file__).parents[3]
WITHOUT_MLFLOW = """
import sys
from pathlib import Path
sys.modules["mlflow"] = None
from fcn.tracking import registry
from fcn.tracking import runs
assert not runs.installed()
with runs.run("train", "key", "table", {}) as run:
    run.metrics({"loss": 1.0})
    run.picture("name", None)
    run.data("name", Path("missing"), "hash", "train")
    run.model(Path("missing"), 1, "tensorflow")
with registry.pipeline(["table"]) as env:
    print(env)
"""


def only_run(mlflow: Any, table: str = "toy") -> Any:
    experiment = mlflow.get_experiment_by_name(table)
    (run,) = mlflow.MlflowClient().search_runs([experiment.experiment_id])
    return run


def test_a_run_has_a_name_a_kind_flat_parameters_and_the_commit(
    mlflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_STAGE", "train@toy-fcn32s")
    settings = {"head": "fcn32s", "training": {"epochs": 2, "deep": {"rate": 0.1}}}
    with runs.run("train", "toy-fcn32s", "toy", settings):
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
    assert (ours | runs.git_tags()).items() <= run.data.tags.items()
    assert "mlflow.parentRunId" not in run.data.tags


def test_outside_dvc_no_stage_is_claimed(mlflow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_STAGE", raising=False)
    with runs.run("train", "key", "toy", {}):
        pass
    assert "dvc.stage" not in only_run(mlflow).data.tags


def test_a_run_is_a_child_of_its_tables_parent(
    mlflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = mlflow.MlflowClient()
    parents = {
        table: client.create_run(runs.experiment(mlflow, table)).info.run_id
        for table in ("one", "two")
    }
    monkeypatch.setenv(runs.PARENTS, " ".join(f"{t}:{run}" for t, run in parents.items()))
    for table in parents:
        with runs.run("train", "key", table, {}):
            pass
        (child,) = client.search_runs([runs.experiment(mlflow, table)], "tags.`fcn.kind` = 'train'")
        assert child.data.tags["mlflow.parentRunId"] == parents[table]
        assert client.get_run(parents[table]).info.status == "RUNNING"
    with runs.run("train", "key", "three", {}):
        pass
    assert "mlflow.parentRunId" not in only_run(mlflow, "three").data.tags


def test_an_exception_marks_the_run_failed_and_is_passed_on(mlflow: Any) -> None:
    with pytest.raises(ZeroDivisionError), runs.run("train", "key", "toy", {}):
        _ = 1 / 0
    assert only_run(mlflow).info.status == "FAILED"
    assert mlflow.active_run() is None


def test_metrics_have_steps_and_an_absent_class_is_left_out(mlflow: Any) -> None:
    with runs.run("evaluate", "key", "toy", {}) as run:
        run.metrics({"loss": 2.0, "iou_7": None}, step=5)
        run.metrics({"loss": 1.0}, step=10)
    done = only_run(mlflow)
    assert done.data.metrics == {"loss": 1.0}
    history = mlflow.MlflowClient().get_metric_history(done.info.run_id, "loss")
    assert [(one.step, one.value) for one in history] == [(5, 2.0), (10, 1.0)]


def test_pictures_are_kept(mlflow: Any) -> None:
    picture = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    with runs.run("evaluate", "key", "toy", {}) as run:
        run.picture("val-00001", picture)
    folder = Path(mlflow.artifacts.download_artifacts(run_id=only_run(mlflow).info.run_id))
    with Image.open(folder / "val-00001.png") as kept:
        np.testing.assert_array_equal(np.asarray(kept), np.asarray(picture))


def test_the_data_is_named_by_place_hash_and_split(mlflow: Any) -> None:
    fingerprint = hashlib.sha256(b"records").hexdigest()
    with runs.run("train", "key", "toy", {}) as run:
        run.data("digits", Path("data/records/digits"), fingerprint, "train")
    done = only_run(mlflow)
    assert done.data.tags["data.sha256"] == fingerprint
    (data,) = done.inputs.dataset_inputs
    assert data.dataset.name == "digits"
    assert fingerprint.startswith(data.dataset.digest)
    assert json.loads(data.dataset.source)["tags"] == {"dvc.path": "data/records/digits"}
    assert {tag.key: tag.value for tag in data.tags} == {"mlflow.data.context": "train"}


def test_runs_of_a_table_share_its_experiment(mlflow: Any) -> None:
    assert runs.experiment(mlflow, "one") == runs.experiment(mlflow, "one")
    assert runs.experiment(mlflow, "one") != runs.experiment(mlflow, "two")


def test_the_default_store_stands_in_the_project_from_wherever_it_is_run(
    new_store: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = new_store(tmp_path, monkeypatch)
    monkeypatch.setattr(runs, "HERE", tmp_path)
    monkeypatch.setattr(runs, "STORE", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    try:
        with runs.run("train", "key", "toy", {}) as run:
            run.picture("one", Image.new("L", (2, 2)))
        done = only_run(mlflow)
    finally:
        mlflow.set_tracking_uri(None)
    place = tmp_path / "mlartifacts" / "toy" / done.info.run_id
    assert (place / "artifacts" / "one.png").is_file()
    assert not list(Path().iterdir())


def test_without_mlflow_every_run_is_silent() -> None:
    command = [sys.executable, "-c", WITHOUT_MLFLOW]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "{}\n"
    assert done.stderr == ""


def test_a_file_is_named_by_its_md5(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"bytes" * 100_000)
    expected = hashlib.md5(b"bytes" * 100_000, usedforsecurity=False).hexdigest()
    assert runs.md5(tmp_path / "file") == expected


def test_git_tags_are_the_commit_and_whether_files_differ_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "HERE", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert runs.git_tags() == {}

    def git(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *who, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "first")
    commit = git("rev-parse", "HEAD")
    assert runs.git_tags() == {"git.commit": commit, "git.dirty": "false"}
    (tmp_path / "new").touch()
    assert runs.git_tags() == {"git.commit": commit, "git.dirty": "true"}


def test_a_store_that_cannot_be_used_is_refused_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mlflow.db").write_text("not a database " * 100)
    done = subprocess.run(
        [sys.executable, "-c", UNUSABLE],
        cwd=ROOT,
        env=os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("refused: MLflow's store sqlite:///")
    assert "trained" not in done.stdout


UNUSABLE = """
import sys
from fcn.tracking import runs
try:
    with runs.run("train", "key", "toy", {}):
        print("trained")
except ValueError as error:
    sys.exit(f"refused: {error}")
"""


def test_a_store_that_fails_on_the_way_costs_a_warning_only(
    mlflow: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with runs.run("train", "key", "toy", {}) as run:
        run.metrics({"loss": 1.0})
        mlflow.MlflowClient().delete_run(only_run(mlflow).info.run_id)
        run.metrics({"loss": 0.5})
        run.metrics({"loss": 0.2})
    assert capsys.readouterr().err.count("warning: MLflow could not be told") == 1


def history(mlflow: Any, run: str, name: str) -> list[tuple[int, float]]:
    found = mlflow.MlflowClient().get_metric_history(run, name)
    return [(one.step, one.value) for one in found]


def killed(mlflow: Any, run: str) -> None:
    """What the store knows of a run whose process was killed."""
    mlflow.MlflowClient().set_terminated(run, "RUNNING")


def test_a_run_is_continued_without_gaps_or_doubles_under_the_new_parent(
    mlflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = mlflow.MlflowClient()
    experiment = runs.experiment(mlflow, "toy")
    parents = [client.create_run(experiment).info.run_id for _ in range(2)]
    monkeypatch.setenv(runs.PARENTS, f"toy:{parents[0]}")
    with runs.run("train", "key", "toy", {"rate": 1, "every": 1}) as run:
        first = run.id
        assert first is not None
        run.metrics({"loss": 3.0, "late": 1.0}, step=1)
        run.metrics({"loss": 2.0}, step=2)
    killed(mlflow, first)
    monkeypatch.setenv(runs.PARENTS, f"toy:{parents[1]}")
    # Another interval of checkpoints changes no result, and no parameter of the run.
    with runs.run("train", "key", "toy", {"rate": 1, "every": 2}, again=first) as run:
        assert run.id == first
        run.metrics({"loss": 3.0, "late": 1.0}, step=1)
        run.metrics({"loss": 2.0, "late": 0.5}, step=2)
        run.metrics({"loss": 1.0}, step=3)
    done = client.get_run(first)
    assert history(mlflow, first, "loss") == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert history(mlflow, first, "late") == [(1, 1.0), (2, 0.5)]
    assert done.info.status == "FINISHED"
    assert done.data.params["every"] == "1"
    assert done.data.tags["mlflow.parentRunId"] == parents[1]
    assert len(client.search_runs([experiment])) == 3


@pytest.mark.parametrize("gone", ["deleted", "unknown"])
def test_a_run_that_is_gone_is_begun_again_and_that_is_said(
    gone: str, mlflow: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with runs.run("train", "key", "toy", {}) as run:
        first = run.id or ""
    if gone == "deleted":
        mlflow.MlflowClient().delete_run(first)
    else:
        first = "0" * 32
    with runs.run("train", "key", "toy", {}, again=first) as run:
        assert run.id not in (None, first)
        run.metrics({"loss": 1.0}, step=1)
        assert history(mlflow, run.id or "", "loss") == [(1, 1.0)]
    assert f"warning: MLflow no longer has the run {first}" in capsys.readouterr().err


def test_a_training_tells_what_the_machine_does_and_leaves_no_thread(
    mlflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    client, before_it = mlflow.MlflowClient(), set(threading.enumerate())

    def told(run: str) -> list[int]:
        name = "system/cpu_utilization_percentage"
        return [one.step for one in client.get_metric_history(run, name)]

    ids: list[str] = []
    for again in (None, True):
        with runs.run("train", "key", "toy", {}, again=again and ids[0]) as run:
            ids.append(run.id or "")
            before = len(told(ids[0]))
            deadline = time.monotonic() + 300
            while len(told(ids[0])) < before + 2:
                assert time.monotonic() < deadline
                time.sleep(0.05)
    steps = told(ids[0])
    assert steps == list(range(len(steps)))
    assert set(threading.enumerate()) <= before_it
    with runs.run("evaluate", "key", "toy", {}) as run:
        assert set(threading.enumerate()) <= before_it


def test_a_model_is_logged_once(mlflow: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"weights")
    with runs.run("train", "key", "toy", {}) as run:
        first = run.id
        mlflow.set_tag("model.md5", runs.md5(path))
    with runs.run("train", "key", "toy", {}, again=first) as run:
        run.model(path, 1, "tensorflow")
    assert mlflow.search_logged_models(output_format="list") == []
