"""Write one run of MLflow: parameters, metrics, tags, files, a dataset, a model."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from fcn.tracking import logged_model
from fcn.tracking.connection import StoreError, impatient, store_errors

if TYPE_CHECKING:
    from PIL import Image


class RunWriter:
    """One run of MLflow. Every method raises `StoreError` where MLflow fails."""

    def __init__(self, client: mlflow.MlflowClient, run: str) -> None:
        """Keep MLflow's client and the run's id; no call is made yet."""
        self._client, self.id = client, run

    def close(self, status: str) -> None:
        """Unbind this process from the run; MLflow would make its next run a child of this one.

        The status is sent again, which is not worth an error.
        """
        quiet = impatient(MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true")
        with quiet, suppress(StoreError), store_errors():
            mlflow.end_run(status)

    @store_errors()
    def terminate(self, status: str) -> None:
        """Set the run's final status."""
        self._client.set_terminated(self.id, status)

    @store_errors()
    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log settings, as texts."""
        self._client.log_batch(self.id, params=[Param(name, str(v)) for name, v in params.items()])

    @store_errors()
    def log_metrics(self, values: Mapping[str, float], step: int, time_ms: int) -> None:
        """Log numbers of a step, measured at a time in milliseconds since 1970."""
        metrics = [Metric(name, value, time_ms, step) for name, value in values.items()]
        self._client.log_batch(self.id, metrics=metrics)

    @store_errors()
    def tags(self) -> dict[str, str]:
        """Return the run's tags."""
        return dict(self._client.get_run(self.id).data.tags)

    @store_errors()
    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the run."""
        self._client.log_batch(self.id, tags=[RunTag(name, value) for name, value in tags.items()])

    @store_errors()
    def log_picture(self, picture: "Image.Image", file: str) -> None:
        """Log a picture as a file of the run."""
        self._client.log_image(self.id, picture, file)

    @store_errors()
    def log_text(self, text: str, file: str) -> None:
        """Log a text as a file of the run."""
        self._client.log_text(self.id, text, file)

    @store_errors()
    def log_json(self, content: Mapping[str, Any], file: str) -> None:
        """Log plain data as a JSON file of the run."""
        self._client.log_dict(self.id, dict(content), file)

    @store_errors()
    def log_file(self, path: Path) -> None:
        """Log a copy of a file."""
        self._client.log_artifact(self.id, str(path))

    @store_errors()
    def log_dataset(self, name: str, folder: Path, sha256: str, split: str) -> None:
        """Log which records the run used; MLflow keeps 36 characters of a digest."""
        source = json.dumps({"tags": {"dvc.path": folder.as_posix()}})
        dataset = Dataset(name, sha256[:32], source_type="code", source=source)
        context = InputTag("mlflow.data.context", split)
        self._client.log_inputs(self.id, [DatasetInput(dataset, [context])])

    @store_errors()
    def log_model(self, path: Path, channels: int, backend: str) -> None:
        """Log a saved model to the run of this process, with signature and requirements."""
        logged_model.log(path, channels, backend)
