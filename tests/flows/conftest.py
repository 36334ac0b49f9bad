"""Real DVC in toy repositories, and one real Prefect server for the whole session."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_SERVER_DATABASE_CONNECTION_URL,
    temporary_settings,
)
from prefect.testing.utilities import prefect_test_harness

from fcn.tracking import champion, connection
from flows.following import notify
from tests import interrupts
from tests.receiver import Receiver, receiving
from tests.shipped import ROOT, SHIPPED
from tests.waiting import SECONDS


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with an empty database."""
    with (
        temporary_settings({PREFECT_HOME: tmp_path_factory.mktemp("prefect")}),
        prefect_test_harness(server_startup_timeout=int(SECONDS)),
    ):
        yield PREFECT_API_URL.value()


@pytest.fixture
def prefect_home(prefect_server: str, tmp_path: Path) -> Path:
    """A folder with a copy of the database: making one takes as long as starting a server."""
    home = tmp_path / "prefect"
    home.mkdir()
    made = str(PREFECT_SERVER_DATABASE_CONNECTION_URL.value()).partition(":///")[2]
    with (
        closing(sqlite3.connect(made)) as source,
        closing(sqlite3.connect(home / "prefect.db")) as copy,
    ):
        source.backup(copy)
    return home


@pytest.fixture(autouse=True)
def isolation(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Use only the tests' own folders."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "dvc"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """An empty DVC repository in the current folder; a call writes its stages and parameters."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    Repo.init().close()

    def write(stages: str, params: str = "x: 1\n") -> None:
        Path("dvc.yaml").write_text(f"stages:\n{stages}")
        Path("params.yaml").write_text(params)

    return write


@pytest.fixture
def command() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `python -m flows.reproduce` as a terminal does."""
    started = []

    def start(*arguments: str, **env: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.reproduce", *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
            preexec_fn=interrupts.heed,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def read_artifact() -> Callable[[Any, str], str]:
    """Read the artifact of a flow run, by the run's id and the artifact's key."""

    def read(run: Any, key: str) -> str:
        values = {"flow_run_id": {"any_": [str(run)]}, "key": {"any_": [key]}}
        with get_client(sync_client=True) as client:
            artifact_filter = ArtifactFilter.model_validate(values)
            (artifact,) = client.read_artifacts(artifact_filter=artifact_filter)
        return str(artifact.data)

    return read


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow store; making its tables takes seconds."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
        connection.open_store().find_experiment("none")
    return path


@pytest.fixture
def project(
    prefect_server: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Settings, a lock file and a store in the current folder; returns MLflow's client."""
    monkeypatch.chdir(tmp_path)
    for name in ("tables", "data/tables"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("params.yaml", "tables/digits.yaml"):
        shutil.copy(SHIPPED / name, tmp_path / name)
    entry = {"cmd": "x", "outs": [{"path": "m", "md5": "0"}]}
    (tmp_path / "dvc.lock").write_text(json.dumps({"stages": {"train@digits-fcn8s": entry}}))
    monkeypatch.setattr(connection, "ROOT", tmp_path)
    monkeypatch.setattr(champion, "LOCKS", tmp_path / "locks")
    shutil.copy(store, tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the comparison's process
    connection.open_store()
    import mlflow

    return mlflow.MlflowClient()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A webhook that the flows use."""
    with receiving() as receiver:
        monkeypatch.setenv(notify.VARIABLE, receiver.url)
        yield receiver
