"""Promotion of models by real flows, on a real MLflow store."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest

from fcn.common import files
from fcn.conversion import shards
from fcn.datasets.shared import catalogue
from fcn.records import verdict
from fcn.tracking import champion
from flows.following.promotion import promote
from flows.promote import main
from tests.receiver import Receiver

ROOT = Path(__file__).parents[2]
# Logits are weight * pixel + bias; the last model predicts class 1 for pixels above 100.
SAVE = """
import sys
from pathlib import Path
import keras, numpy as np
from fcn.network import model_file

def save(number, weight, bias):
    images = keras.Input((None, None, 1))
    scores = keras.layers.Conv2D(11, 1)
    model = keras.Model(images, scores(images))
    scores.set_weights([np.reshape(weight, (1, 1, 1, 11)), bias])
    model_file.save(model, Path(sys.argv[1]) / f"model-{number}/artifacts/m.keras")

zeros, unit = np.zeros(11), np.eye(11)
save(0, zeros, unit[5])
save(1, zeros, unit[0])
save(2, unit[1], -100 * unit[1])
"""


def register(client: Any, folder: Path) -> None:
    if not client.search_registered_models():
        client.create_registered_model("fcn-digits")
        client.create_experiment("digits")
    experiment = client.get_experiment_by_name("digits").experiment_id
    (folder / "artifacts").mkdir(parents=True, exist_ok=True)
    run = client.create_run(experiment).info.run_id
    client.create_model_version("fcn-digits", str(folder), run)


def test_versions_are_promoted_and_rolled_back_by_hand(
    project: Any,
    receiver: Receiver,
    tmp_path: Path,
    read_artifact: Callable[[Any, str], str],
) -> None:
    for number in range(2):
        register(project, tmp_path / f"model-{number}")
    first = promote("digits", version=1, return_state=True)
    assert (first.name, first.message) == (
        "Promoted",
        "fcn-digits: version 1 is champion: there was no champion",
    )
    assert promote("digits", version=2, anyway=True, return_state=True).name == "Promoted"
    back = promote("digits", rollback=True, return_state=True)
    assert back.message == (
        "fcn-digits: version 1 is champion instead of 2: version 2 was rolled back by a person"
    )
    assert receiver.events() == ["promotion"] * 3
    assert receiver.received[-1]["text"] == back.message
    assert back.message in read_artifact(back.state_details.flow_run_id, "promotion-digits")
    assert promote("digits", rollback=True, return_state=True).is_failed()
    unknown = promote("digist", return_state=True)
    assert unknown.is_failed()
    assert "did you mean 'digits'" in unknown.message


def test_a_failed_comparison_is_reported_as_a_failure(
    project: Any, receiver: Receiver, tmp_path: Path
) -> None:
    for number in range(2):
        register(project, tmp_path / f"model-{number}")
        (tmp_path / f"model-{number}/artifacts/m.keras").write_text("damaged")
    promote("digits", version=1)
    state = promote("digits", version=2, return_state=True)  # there are no records
    assert state.is_completed()
    assert "data/records/digits" in state.message or "data/reports/digits" in state.message
    assert "1 stays champion" in state.message
    assert receiver.events() == ["promotion", "failure"]


@pytest.fixture
def valid_records(project: Any, raw: Path) -> None:
    """Valid records in the current folder, with enough validation images for an interval."""
    source, folder = catalogue.load("digits"), Path("data/records/digits")
    pairs = {split: source.samples(raw, split, 16, seed=7) for split in ("train", "val", "test")}
    with files.writing_folder(folder) as aside:
        shards.write(aside, source, pairs, shards=2)
    verdict.write(Path("data/reports/digits/valid.json"), folder)


@pytest.fixture
def models(project: Any, tmp_path: Path) -> None:
    """Three registered models that predict: class 5; background; class 1 for bright pixels."""
    env = {"PYTHONPATH": str(ROOT), "PATH": "", "KERAS_BACKEND": "tensorflow"}
    subprocess.run([sys.executable, "-c", SAVE, str(tmp_path)], env=env, check=True)
    for number in range(3):
        register(project, tmp_path / f"model-{number}")


@pytest.mark.services
@pytest.mark.usefixtures("valid_records", "models")
def test_two_concurrent_promotions_leave_one_champion_and_one_history(
    project: Any,
    receiver: Receiver,
    prefect_server: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    promote("digits", version=1)
    command = [sys.executable, "-m", "flows.promote", "digits", "--version"]
    started = [
        subprocess.Popen([*command, version], stdout=subprocess.PIPE, text=True)
        for version in ("2", "3")
    ]
    outputs = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], outputs
    registered = project.get_registered_model("fcn-digits")
    assert str(registered.aliases["champion"]) == "3"
    history = registered.tags[champion.HISTORY].split()
    assert history in (["1", "2", "3"], ["1", "3"])
    assert ("challenger" in registered.aliases) is (len(history) == 2)
    assert receiver.events() == ["promotion"] * len(history)
    third = project.get_model_version("fcn-digits", "3")
    assert float(third.tags["promotion.low"]) > 0
    assert third.tags["promotion.against"] == history[-2]
    evidence = mlflow.artifacts.load_dict(
        f"runs:/{third.run_id}/promotion/3-against-{history[-2]}.json"
    )
    assert evidence["evidence"]["split"] == "val"
    assert evidence["evidence"]["units"] == 16

    capsys.readouterr()
    assert main("digits", rollback=True) == 0
    assert f"version {history[-2]} is champion instead of 3" in capsys.readouterr().out
