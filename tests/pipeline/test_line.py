"""The line, from nothing to the table: real DVC, real flow, real MLflow, a few canvases."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import psutil
import pytest

from fcn.common import files
from fcn.records.fingerprint import fingerprint
from fcn.scores.metrics import SCORES
from flows import reproduce
from tests.pipeline.conftest import Project
from tests.waiting import gone

ROWS = ["digits-fcn32s", "digits-fcn16s", "digits-fcn8s"]


def test_the_table_has_every_row_and_score(by_dvc: Project) -> None:
    table = pd.read_csv(by_dvc.root / "data/tables/digits.csv")
    assert table["row"].tolist() == ROWS
    assert table[list(SCORES)].stack().between(0, 1).all()
    text = (by_dvc.root / "data/tables/digits.md").read_text("utf-8")
    assert all(name in text for name in ("FCN-32s", "FCN-16s", "FCN-8s", "unseen objects"))


def test_the_flow_gives_the_same_bytes_as_dvc(by_dvc: Project, by_flow: Project) -> None:
    one, other = by_dvc.outs(), by_flow.outs()
    assert sorted(one) == sorted(other)
    assert [name for name in one if one[name] != other[name]] == []


def test_dvc_shows_metrics_and_plots(by_dvc: Project) -> None:
    metrics = by_dvc.run("dvc", "metrics", "show").stdout
    assert "mean_iou" in metrics
    by_dvc.run("dvc", "plots", "show", "-o", "plots")
    page = (by_dvc.root / "plots/index.html").read_text("utf-8")
    assert all(f"{row} {what}" in page for row in ROWS for what in ("loss", "IoU", "confusion"))
    assert "mean_iou" in by_dvc.run("dvc", "exp", "show", "--csv").stdout


def test_nothing_runs_again_when_nothing_changed(by_dvc: Project, by_flow: Project) -> None:
    assert "Data and pipelines are up to date." in by_dvc.run("dvc", "repro").stdout
    last = by_flow.run(sys.executable, "-m", "flows.reproduce").stdout.splitlines()[-1]
    assert "cached 13" in last
    assert "ran" not in last


def test_mlflow_holds_the_runs_under_one_parent(by_flow: Project) -> None:
    # In a process of its own: MLflow keeps one store per process.
    found = by_flow.run(sys.executable, "-c", READ_STORE).stdout
    assert "parents 1" in found
    assert "children 7 failed 0" in found
    assert "with commit and lock 7" in found
    assert "registered fcn-digits 1" in found
    assert "same masks True" in found


READ_STORE = """
import numpy as np, mlflow, os
from pathlib import Path
mlflow.set_tracking_uri(f"sqlite:///{Path('mlflow.db').resolve()}")
client = mlflow.MlflowClient()
runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
print("parents", len(runs) - len(children))
failed = [run for run in children if run.info.status != "FINISHED"]
print("children", len(children), "failed", len(failed))
told = [r for r in children if {"git.commit", "dvc.lock.sha256"} <= r.data.tags.keys()]
print("with commit and lock", len(told))
versions = client.search_model_versions("name = 'fcn-digits'")
print("registered", versions[0].name, len(versions))
for run in children:
    if run.data.tags["fcn.kind"] == "evaluate":
        kept = [file.path for file in client.list_artifacts(run.info.run_id)]
        assert sum(path.endswith(".png") for path in kept) == 2
        assert {"class_iou.csv", "confusion.csv"} <= set(kept)
        assert {"mean_iou", "pixel_accuracy", "iou_background"} <= run.data.metrics.keys()
        assert run.inputs.dataset_inputs[0].dataset.name == "digits"
os.environ["KERAS_BACKEND"] = "tensorflow"
served = mlflow.pyfunc.load_model(f"models:/fcn-digits/{versions[0].version}")
from fcn.network import model_file
model = model_file.load(Path("data/models") / (versions[0].tags["fcn.key"] + ".keras"))
image = np.random.default_rng(0).integers(0, 255, (1, 64, 84, 1), np.uint8)
masks = np.asarray(model.predict_on_batch(image)).argmax(-1)
print("same masks", bool((served.predict(image) == masks).all()))
"""


def test_a_setting_reruns_what_it_changes_and_nothing_before(by_dvc: Project) -> None:
    frozen = 'freeze: ["conv1*", "conv2*"]'
    head = f"init_from: digits-fcn32s\n    network: digits-vgg16\n    {frozen}\n    training: "
    trained = f"{head}{{epochs: 2, batch: 8, learning_rate: "
    by_dvc.edit("tables/digits.yaml", f"{trained}2.0e-3", f"{trained}3.0e-3")
    ran = {
        line.split("'")[1]
        for line in by_dvc.run("dvc", "repro").stdout.splitlines()
        if line.startswith("Running stage")
    }
    # Three steps of training may measure the same, and then the table stays as it is.
    assert ran - {"table@digits"} == {
        "train@digits-fcn16s",
        "evaluate@digits-fcn16s",
        "train@digits-fcn8s",
        "evaluate@digits-fcn8s",
    }


RATE = (
    'head: fcn8s\n    init_from: digits-fcn16s\n    network: digits-vgg16\n    freeze: ["conv1*"]\n'
    "    training: {epochs: 2, batch: 8, learning_rate: "
)
WRONG = {
    "a mistyped key": ("head: fcn16s", "haed: fcn16s", "did you mean 'head'", "'item.head'"),
    "another mistyped key": ("seed: 1337", "sede: 1337", "did you mean 'seed'", "'seed'"),
    "a mistyped head": (
        "head: fcn16s",
        "head: fcn61s",
        "did you mean 'fcn16s'",
        "fcn/heads/fcn61s.py",
    ),
    "a wrong type": ("seed: 1337", "seed: many", "allowed: a valid integer", None),
    "a negative learning rate": (f"{RATE}2.0", f"{RATE}-2.0", "allowed: greater than 0", None),
}
"""Old text, new text, what the flow says, what DVC says where it trips before any stage runs."""


@pytest.mark.parametrize("wrong", WRONG)
def test_the_flow_refuses_a_wrong_setting(
    wrong: str, by_flow: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, said, _ = WRONG[wrong]
    monkeypatch.chdir(by_flow.root)
    with by_flow.edited(old, new), pytest.raises(ValueError, match=re.escape(said)):
        reproduce.main()


def test_the_flow_refuses_a_wrong_setting_before_anything_runs(served: Project) -> None:
    old, new, said, _ = WRONG["a mistyped key"]
    before = served.outs()
    with served.edited(old, new):
        done = served.run(sys.executable, "-m", "flows.reproduce", check=False)
    assert done.returncode == 1
    assert said in done.stdout
    assert "Traceback" not in done.stdout
    assert served.outs() == before


@pytest.mark.parametrize("wrong", WRONG)
def test_bare_dvc_refuses_a_wrong_setting(wrong: str, by_dvc: Project) -> None:
    old, new, said, by_dvc_itself = WRONG[wrong]
    with by_dvc.edited(old, new):
        done = by_dvc.run("dvc", "repro", check=False)
    if not by_dvc_itself:
        by_dvc.run("dvc", "repro")  # from DVC's cache: a stage that fails has lost its old outs
    assert done.returncode != 0
    assert (by_dvc_itself or said) in done.stdout
    assert "Traceback" not in done.stdout


def test_a_training_killed_in_the_middle_leaves_nothing_half_written(by_flow: Project) -> None:
    before = by_flow.outs()
    # More epochs than any machine trains before the kill comes, few enough to end if none comes.
    with by_flow.edited(RATE, RATE.replace("epochs: 2", "epochs: 2000")):
        with subprocess.Popen(
            ["dvc", "repro", "--single-item", "train@digits-fcn8s"],
            cwd=by_flow.root,
            env=by_flow.env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as dvc:
            assert dvc.stdout is not None
            began = next(line for line in dvc.stdout if "initialised from" in line)
            assert began.startswith("digits-fcn8s")
            below = psutil.Process(dvc.pid).children(recursive=True)
            assert below
            dvc.kill()
            assert gone(*below)
        assert not (by_flow.root / "data/models/digits-fcn8s.keras").exists()
    by_flow.run("dvc", "repro")
    assert by_flow.outs() == before


def test_a_damaged_record_stops_training(by_flow: Project, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    with files.writing_folder(folder) as aside:
        for path in (by_flow.root / "data/records/digits").iterdir():
            (aside / path.name).write_bytes(path.read_bytes())
    shard = folder / "train-00000-of-00002.tfrecord"
    content = bytearray(shard.read_bytes())
    content[200] ^= 1
    shard.write_bytes(bytes(content))
    valid = tmp_path / "valid.json"
    files.write_json(valid, {"records": fingerprint(folder), "verdict": "valid"})
    done = by_flow.run(
        sys.executable,
        "-m",
        "stages.train",
        "digits-fcn8s",
        "--records",
        str(folder),
        "--valid",
        str(valid),
        "--init-from",
        "data/models/digits-fcn16s.keras",
        "--out",
        str(tmp_path / "model.keras"),
        "--curve",
        str(tmp_path / "loss.csv"),
        check=False,
    )
    assert done.returncode == 1
    assert "train-00000-of-00002.tfrecord" in done.stdout
    assert "CRC-32C" in done.stdout
    assert not (tmp_path / "model.keras").exists()
