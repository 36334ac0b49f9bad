"""MLflow's store as this project uses it: typed calls, our own records, one kind of error.

Importing this module imports MLflow, which takes seconds: open the store with
`fcn.tracking.connection.open_store`. `run_writer` writes one run, `registered_model` changes one
registered model.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import mlflow

from fcn.common import files
from fcn.tracking import connection
from fcn.tracking.connection import store_errors
from fcn.tracking.registered_model import RegisteredModel
from fcn.tracking.run_writer import RunWriter

PARENT = "mlflow.parentRunId"
MODEL_MD5 = "model.md5"
"""The MD5 of the run's model file, as dvc.lock has it."""
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""With this tag MLflow's page of an experiment shows training runs."""

# A new store logs each migration, a logged model how it looked for packages, and a locked database
# a traceback beside the error that it raises.
logging.getLogger("alembic").setLevel(logging.ERROR)
logging.getLogger("mlflow").setLevel(logging.ERROR)
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class StoredRun:
    """One run as the store has it."""

    id: str
    experiment: str
    """The id of its experiment."""
    status: str
    """`RUNNING`, `FINISHED` or `FAILED`."""
    started: datetime
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    """The last value of each."""


class Store:
    """One MLflow store. Every method raises `StoreError` where MLflow fails."""

    def __init__(self, uri: str) -> None:
        """Point MLflow at the store; no call is made yet."""
        mlflow.set_tracking_uri(uri)
        self.uri = uri

    @property
    def _client(self) -> mlflow.MlflowClient:
        return mlflow.MlflowClient()

    @store_errors()
    def find_experiment(self, table: str) -> str | None:
        """Return the id of the table's experiment, if there is one."""
        experiment = self._client.get_experiment_by_name(table)
        return None if experiment is None else str(experiment.experiment_id)

    @store_errors()
    def experiment(self, table: str) -> str:
        """Return the id of the table's experiment; create it if it is new."""
        if (existing := self.find_experiment(table)) is not None:
            return existing
        folder = connection.artifacts(self.uri, table)
        return str(self._client.create_experiment(table, artifact_location=folder, tags=KIND))

    @store_errors()
    def create_run(self, table: str, name: str, tags: Mapping[str, str]) -> str:
        """Create a run without binding this process to it; return its id."""
        made = self._client.create_run(self.experiment(table), tags=dict(tags), run_name=name)
        return str(made.info.run_id)

    @store_errors()
    def writer(self, run: str) -> RunWriter:
        """Return the writer of a run."""
        return RunWriter(self._client, run)

    @store_errors()
    def start_run(
        self,
        table: str,
        name: str,
        tags: Mapping[str, str],
        parent: str | None = None,
        system_metrics: bool = False,
    ) -> RunWriter:
        """Start the run of this process.

        `system_metrics` logs those of the whole machine every ten seconds.
        """
        started = mlflow.start_run(
            experiment_id=self.experiment(table),
            run_name=name,
            parent_run_id=parent,
            tags=dict(tags),
            log_system_metrics=system_metrics,
        )
        return self.writer(str(started.info.run_id))

    @store_errors()
    def resume_run(
        self, run: str, tags: Mapping[str, str], parent: str | None, system_metrics: bool
    ) -> RunWriter:
        """Bind this process to a run that was killed, under a new parent if there is one."""
        moved = {PARENT: parent} if parent else {}
        mlflow.start_run(run_id=run, tags={**tags, **moved}, log_system_metrics=system_metrics)
        return self.writer(run)

    @store_errors()
    def run(self, run: str) -> StoredRun:
        """Return a run by its id."""
        return _stored(self._client.get_run(run))

    @store_errors()
    def search(
        self, query: str, experiment: str | None = None, limit: int = 1000
    ) -> list[StoredRun]:
        """Return runs that are not deleted, the newest first; without `experiment` of all."""
        runs: list[mlflow.entities.Run] = mlflow.search_runs(
            experiment_ids=None if experiment is None else [experiment],
            search_all_experiments=experiment is None,
            filter_string=query,
            max_results=limit,
            output_format="list",
        )
        return [_stored(run) for run in runs]

    def has_run(self, table: str, run: str) -> bool:
        """Return whether the table's experiment has a run that is not deleted."""
        query = f"attributes.run_id = '{run}'"
        return bool(self.search(query, self.experiment(table), limit=1))

    def children(self, parent: StoredRun) -> list[StoredRun]:
        """Return the runs that have a parent, the newest first."""
        return self.search(f"tags.`{PARENT}` = '{parent.id}'", parent.experiment)

    def find_training(self, model: Path, table: str | None = None) -> StoredRun | None:
        """Return the run that trained a model file, found by the file's MD5."""
        experiment = None if table is None else self.find_experiment(table)
        if table is not None and experiment is None:
            return None
        query = f"tags.`{MODEL_MD5}` = '{files.md5(model)}' and tags.`fcn.kind` = 'train'"
        return next(iter(self.search(query, experiment, limit=1)), None)

    @store_errors()
    def last_steps(self, run: str) -> dict[str, int]:
        """Return the largest step logged for each metric; MLflow counts those of the machine."""
        metrics = self._client.get_run(run).data.metrics
        return {
            name: max(entry.step for entry in self._client.get_metric_history(run, name))
            for name in metrics
            if not name.startswith("system/")
        }

    @store_errors()
    def find_model(self, run: str) -> str | None:
        """Return the id of the newest model of a run that was uploaded completely."""
        outputs = self._client.get_run(run).outputs
        logged = outputs.model_outputs if outputs else []
        models = [self._client.get_logged_model(output.model_id) for output in logged]
        complete = [model for model in models if str(model.status) == "READY"]
        newest = max(complete, key=lambda model: model.creation_timestamp, default=None)
        return None if newest is None else str(newest.model_id)

    @store_errors()
    def registered_model(self, name: str) -> RegisteredModel:
        """Return the registered model of a name, whether or not it exists yet."""
        return RegisteredModel(self._client, name)

    @store_errors()
    def resolve(self, uri: str) -> str:
        """Return the `models:/NAME/VERSION` that `models:/NAME@ALIAS` stands for now."""
        name, _, alias = uri.removeprefix("models:/").partition("@")
        if not alias:
            return uri
        return f"models:/{name}/{self._client.get_model_version_by_alias(name, alias).version}"

    @store_errors()
    def registered_run(self, uri: str) -> str | None:
        """Return the run that made the model `models:/NAME@ALIAS` or `models:/NAME/VERSION`."""
        run = mlflow.models.get_model_info(uri).run_id
        return str(run) if run else None

    @store_errors()
    def registered_names(self) -> list[str]:
        """Return the names of all registered models."""
        return [str(model.name) for model in self._client.search_registered_models()]

    def download_model(self, uri: str, folder: Path) -> Path:
        """Download a registered model into a folder; return the path of its `.keras` file.

        Raises:
            ValueError: the model has none, or several.
        """
        folder.mkdir(exist_ok=True)
        with store_errors():
            copy = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder))
        paths = sorted((Path(copy) / "artifacts").glob("*.keras"))
        if len(paths) != 1:
            raise ValueError(
                f"{uri} holds {len(paths)} .keras files; allowed: 1, as this project logs models"
            )
        return paths[0]


def _stored(run: mlflow.entities.Run) -> StoredRun:
    return StoredRun(
        run.info.run_id,
        run.info.experiment_id,
        run.info.status,
        datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        run.data.tags,
        run.data.metrics,
    )
