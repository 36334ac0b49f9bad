"""Pipeline runs over a project with two trained models, as MLflow stores them."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.entities import LoggedModelOutput, LoggedModelStatus

from fcn.common import files
from fcn.network import build, model_file
from fcn.settings.network import Network
from fcn.tracking import connection, registry, runs
from tests.shipped import ROOT, SHIPPED

pytestmark = pytest.mark.usefixtures("seeded")

SCORES = {"digits-fcn16s": 0.75, "digits-fcn32s": 0.25}
ENTRY = {
    "cmd": "python -m stages.train digits-fcn16s",
    "outs": [{"path": "data/models/digits-fcn16s.keras", "md5": "0" * 32, "size": 7}],
}


@dataclass(frozen=True)
class Project:
    """A copy of the files that tracking reads, and its store."""

    folder: Path
    mlflow: Any

    def child(
        self, parent: str, key: str, monkeypatch: pytest.MonkeyPatch, *, broken: bool = False
    ) -> None:
        """Train `key` as a stage of the pipeline run `parent` would."""
        with monkeypatch.context() as patch:
            patch.setenv(runs.PARENTS, parent)
            patch.setenv("DVC_STAGE", f"train@{key}")
            with runs.open_run("train", key, "digits", {}) as run:
                run.log_metrics({"val_mean_iou": SCORES[key] / 2}, step=1)
                run.log_metrics({"val_mean_iou": SCORES[key]}, step=2)
                if broken:
                    self.leave_half_a_model(run.id or "")
                run.log_model(self.folder / "data" / "models" / f"{key}.keras", 1, "tensorflow")

    def leave_half_a_model(self, run: str) -> None:
        """Leave what MLflow has after an interrupted upload."""
        client = self.mlflow.MlflowClient()
        half = client.create_logged_model(
            connection.open_store().experiment("digits"), name="model", source_run_id=run
        )
        client.log_outputs(run, [LoggedModelOutput(half.model_id, 0)])
        client.finalize_logged_model(half.model_id, LoggedModelStatus.FAILED)

    def runs(self, query: str = "") -> list[Any]:
        """The digits' runs, the oldest first."""
        client = self.mlflow.MlflowClient()
        experiment = connection.open_store().experiment("digits")
        return client.search_runs([experiment], query, order_by=["attribute.start_time"])

    def versions(self) -> list[Any]:
        return self.mlflow.MlflowClient().search_model_versions("name = 'fcn-digits'")


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def project(
    keras_ready: None,
    tiny: Network,
    new_store: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
    patch: pytest.MonkeyPatch,
) -> Project:
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "fcn", folder / "fcn")
    shutil.copytree(SHIPPED / "tables", folder / "tables")
    shutil.copy(SHIPPED / "params.yaml", folder)
    patch.setattr(connection, "ROOT", folder)
    patch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
    made = Project(folder, new_store(folder, patch))
    for key in SCORES:
        head = key.removeprefix("digits-")
        network = build.network(head, "vgg16", tiny, 1, 11)
        model_file.save(network, folder / "data" / "models" / f"{key}.keras")
    (folder / "dvc.lock").write_text(json.dumps({"stages": {"train@digits-fcn16s": ENTRY}}))
    (folder / "data" / "tables").mkdir()
    return made


@pytest.fixture(scope="module")
def env(project: Project, patch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of the stages of a finished pipeline run."""
    with registry.pipeline(["digits"]) as env:
        for key in SCORES:
            project.child(env[runs.PARENTS], key, patch)
        (connection.ROOT / "data" / "tables" / "digits.md").write_text("the table")
    return env


@pytest.fixture
def parent(env: dict[str, str]) -> str:
    return env[runs.PARENTS].removeprefix("digits:")


def test_the_stages_are_children_of_their_tables_parent(parent: str, project: Project) -> None:
    first, *children = project.runs()
    assert first.info.run_id == parent
    assert first.info.run_name == "reproduce"
    assert first.info.status == "FINISHED"
    assert [child.data.tags["fcn.key"] for child in children] == list(SCORES)
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent}


@pytest.mark.usefixtures("env")
def test_children_have_tags_of_their_stages_entry_in_dvc_lock(project: Project) -> None:
    known, unknown = project.runs("tags.`fcn.kind` = 'train'")[:2]
    whole = hashlib.sha256(json.dumps(ENTRY, sort_keys=True).encode()).hexdigest()
    assert known.data.tags["dvc.lock.sha256"] == whole
    assert json.loads(known.data.tags["dvc.lock.outs"]) == {
        "data/models/digits-fcn16s.keras": "0" * 32
    }
    assert not any(name.startswith("dvc.lock") for name in unknown.data.tags)


def test_the_parent_has_the_table_as_a_file(parent: str, project: Project) -> None:
    folder = project.mlflow.artifacts.download_artifacts(run_id=parent)
    assert (Path(folder) / "digits.md").read_text() == "the table"


@pytest.mark.usefixtures("env")
def test_the_model_with_the_best_validation_is_registered(project: Project) -> None:
    (version,) = project.versions()
    path = project.folder / "data" / "models" / "digits-fcn16s.keras"
    assert version.tags == {"model.md5": files.md5(path), "fcn.key": "digits-fcn16s"}
    served = project.mlflow.pyfunc.load_model("models:/fcn-digits/1")
    image = np.zeros((1, 20, 30, 1), np.uint8)
    np.testing.assert_array_equal(served.predict(image), np.zeros((1, 20, 30)))


@pytest.mark.usefixtures("env")
def test_the_same_file_is_registered_once(project: Project) -> None:
    for _ in range(2):
        with registry.pipeline(["digits"]):
            pass
    assert len(project.versions()) == 1


@pytest.mark.usefixtures("env")
def test_a_failed_pipeline_marks_its_parent_and_registers_nothing(
    project: Project, tiny: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project.folder / "data" / "models" / "digits-fcn32s.keras"
    model_file.save(build.network("fcn32s", "vgg16", tiny, 1, 11), path)
    monkeypatch.setitem(SCORES, "digits-fcn32s", 0.9)

    def failing() -> None:
        with registry.pipeline(["digits"]) as env:
            project.child(env[runs.PARENTS], "digits-fcn32s", monkeypatch, broken=True)
            raise InterruptedError

    before = len(project.versions())
    with pytest.raises(InterruptedError):
        failing()
    assert project.runs("tags.mlflow.runName = 'reproduce'")[-1].info.status == "FAILED"
    assert len(project.versions()) == before

    with registry.pipeline(["digits"]):
        pass
    newest = max(project.versions(), key=lambda version: int(version.version))
    assert newest.tags == {"model.md5": files.md5(path), "fcn.key": "digits-fcn32s"}
