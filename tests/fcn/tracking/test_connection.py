"""Where the store is, and what happens where there is none or it cannot be used."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fcn.tracking import connection, runs

ROOT = Path(__file__).parents[3]
WITHOUT_MLFLOW = """
import sys
from pathlib import Path
sys.modules["mlflow"] = None
from fcn.tracking import connection, registry, runs
assert not connection.installed()
with runs.open_run("train", "key", "table", {}) as run:
    run.log_metrics({"loss": 1.0})
    run.log_picture("name", None)
    run.log_dataset("name", Path("missing"), "hash", "train")
    run.log_model(Path("missing"), 1, "tensorflow")
with registry.pipeline(["table"]) as env:
    print(env)
"""
WITHOUT_OPENING = """
import sys
from fcn.tracking import champion, lineage, registry, runs
with runs.open_run("train", "key", "table", {}, disabled=True) as run, registry.pipeline([]):
    run.log_metrics({"loss": 1.0})
print("mlflow" in sys.modules)
"""
UNUSABLE = """
import sys
from fcn.tracking import runs
try:
    with runs.open_run("train", "key", "toy", {}):
        print("trained")
except ValueError as error:
    sys.exit(f"refused: {error}")
"""


def test_the_default_store_is_in_the_project_whatever_the_current_folder(
    new_store: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = new_store(tmp_path, monkeypatch)
    monkeypatch.setattr(connection, "ROOT", tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    try:
        with runs.open_run("train", "key", "toy", {}) as run:
            run.log_picture("one", Image.new("L", (2, 2)))
        (done,) = mlflow.search_runs(experiment_names=["toy"], output_format="list")
    finally:
        mlflow.set_tracking_uri(None)
    folder = tmp_path / "mlartifacts" / "toy" / done.info.run_id
    assert (folder / "artifacts" / "one.png").is_file()
    assert not list(Path().iterdir())


def test_mlflow_is_imported_only_to_open_a_store() -> None:
    command = [sys.executable, "-c", WITHOUT_OPENING]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_reading_a_store_needs_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(connection, "ROOT", tmp_path)
    assert not connection.exists()
    (tmp_path / "mlflow.db").touch()
    assert connection.exists()


def test_an_installed_package_reads_the_store_of_the_project_around_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(connection, "ROOT", tmp_path / "site-packages")
    for name in ("params.yaml", "dvc.yaml", "tables"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "photos")
    assert not connection.exists()
    (tmp_path / "mlflow.db").touch()
    assert connection.exists()
    assert connection.default_uri() == f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.mark.parametrize(
    ("uri", "absolute"),
    [
        ("sqlite:////srv/mlflow.db", "sqlite:////srv/mlflow.db"),
        ("sqlite:///own.db", "sqlite:///{here}/own.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_the_address_of_a_store_holds_in_every_folder(
    uri: str, absolute: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert connection.address() == absolute.format(here=tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert connection.address() == connection.default_uri()


def test_a_database_keeps_its_artifacts_beside_it_whoever_creates_the_experiment(
    new_store: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the project logs to the workspace's store, and is removed later."""
    mlflow = new_store(tmp_path, monkeypatch)
    (tmp_path / "copy").mkdir()
    monkeypatch.setattr(connection, "ROOT", tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    with runs.open_run("train", "key", "toy", {}) as run:
        run.log_picture("one", Image.new("L", (2, 2)))
    (done,) = mlflow.search_runs(experiment_names=["toy"], output_format="list")
    assert (tmp_path / f"mlartifacts/toy/{done.info.run_id}/artifacts/one.png").is_file()
    assert not list(Path().iterdir())
    assert connection.artifacts("http://127.0.0.1:5000", "toy") is None


def test_without_mlflow_nothing_is_logged_and_nothing_fails() -> None:
    command = [sys.executable, "-c", WITHOUT_MLFLOW]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "{}\n"
    assert done.stderr == ""


def test_an_unusable_store_is_an_error_before_the_training_starts(
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
