from pathlib import Path
from typing import Any

import pytest

from fcn.common import files
from fcn.tracking import connection
from fcn.tracking.connection import StoreError
from fcn.tracking.store import Store


@pytest.fixture
def store(mlflow: Any) -> Store:
    return connection.open_store()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.keras"
    path.write_bytes(b"weights")
    return path


def create(store: Store, table: str, kind: str, model: Path) -> str:
    tags = {"fcn.kind": kind, "model.md5": files.md5(model)}
    return store.create_run(table, f"{kind} key", tags)


def test_a_training_is_found_by_its_model_in_one_table_or_in_all(store: Store, model: Path) -> None:
    training = create(store, "toy", "train", model)
    create(store, "toy", "evaluate", model)
    for table in ("toy", None):
        run = store.find_training(model, table)
        assert run is not None
        assert run.id == training
    store.experiment("empty")
    assert store.find_training(model, "empty") is None
    assert store.find_training(model, "unknown") is None
    model.write_bytes(b"others")
    assert store.find_training(model) is None


def test_children_are_those_of_one_parent_the_newest_first(store: Store) -> None:
    parents = [store.create_run("toy", "reproduce", {}) for _ in range(2)]
    children = [
        store.create_run("toy", "train key", {"mlflow.parentRunId": parents[0]}) for _ in range(2)
    ]
    assert {run.id for run in store.children(store.run(parents[0]))} == set(children)
    assert store.children(store.run(parents[1])) == []


def test_a_refused_call_is_an_error_of_a_store_that_is_available(store: Store) -> None:
    with pytest.raises(StoreError, match=r"MLflow's store sqlite:.*MLFLOW_TRACKING_URI") as caught:
        store.run("0" * 32)
    assert not caught.value.unavailable


@pytest.mark.parametrize(
    ("error", "unavailable"),
    [(ConnectionRefusedError("no answer"), True), (FileNotFoundError("no file"), False)],
)
def test_a_missing_file_is_no_unavailable_store(
    error: OSError, unavailable: bool, mlflow: Any
) -> None:
    with pytest.raises(StoreError) as caught, connection.store_errors():
        raise error
    assert caught.value.unavailable is unavailable
    assert caught.value.reason == str(error)


def test_a_models_versions_are_in_the_order_of_their_numbers(
    store: Store, mlflow: Any, tmp_path: Path
) -> None:
    model = store.registered_model("fcn-toy")
    assert (model.versions(), model.aliases()) == ({}, {})
    client, run = mlflow.MlflowClient(), store.create_run("toy", "train key", {})
    client.create_registered_model("fcn-toy")
    for _ in range(11):
        client.create_model_version("fcn-toy", str(tmp_path), run)
    versions = model.versions()
    assert list(versions) == [str(number) for number in range(1, 12)]
    assert model.run_of(versions["11"]) == run
    model.set_alias("champion", "10")
    assert model.aliases() == {"champion": "10"}


def test_a_registered_model_needs_one_model_file(store: Store, mlflow: Any, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "artifacts").mkdir(parents=True)
    (source / "artifacts" / "notes.txt").touch()
    client = mlflow.MlflowClient()
    client.create_registered_model("fcn-toy")
    client.create_model_version("fcn-toy", str(source), store.create_run("toy", "train key", {}))
    with pytest.raises(ValueError, match=r"models:/fcn-toy/1 holds 0 .keras files; allowed: 1"):
        store.download_model("models:/fcn-toy/1", tmp_path / "copy")
    (source / "artifacts" / "toy.keras").write_bytes(b"weights")
    path = store.download_model("models:/fcn-toy/1", tmp_path / "copy")
    assert path.read_bytes() == b"weights"
