"""What MLflow remembers of a pipeline run: a parent, its table, the best model."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fcn.settings import reader
from fcn.tracking import lineage
from fcn.tracking import runs as tracking


@contextmanager
def pipeline(
    tables: Sequence[str], tags: Mapping[str, str] | None = None, stages: Sequence[str] = ()
) -> Iterator[dict[str, str]]:
    """Open a parent run in each table's experiment; yield the environment for the stages.

    Afterwards every child is tagged with its entry in dvc.lock, the parent with the run behind each
    stage that did not run, a new table is logged, and the best model of each table is registered
    as `fcn-TABLE`. An exception marks the parents failed.

    Args:
        tables: names of the tables.
        tags: of parents and children, such as who started them.
        stages: all that the run is about, those that will not run too.

    Raises:
        ValueError: MLflow's store cannot be used.
    """
    if not tables or not tracking.installed():
        yield {}
        return
    mlflow, began = tracking.store(), time.time()
    client = mlflow.MlflowClient()
    with tracking.refusing(mlflow):
        parents = {
            table: client.create_run(
                tracking.experiment(mlflow, table),
                run_name="reproduce",
                tags=tracking.git_tags() | dict(tags or {}),
            ).info.run_id
            for table in tables
        }
    status = "FAILED"
    try:
        yield {tracking.PARENTS: " ".join(f"{table}:{run}" for table, run in parents.items())}
        status = "FINISHED"
    finally:
        with tracking.refusing(mlflow):
            for table, parent in parents.items():
                try:
                    done = lineage.tables(stages, table) if status == "FINISHED" else ()
                    lineage.tag(client, parent, tags or {}, done)
                    if status == "FINISHED":
                        _log_table(client, table, parent, began)
                        register_best(mlflow, client, table)
                finally:
                    client.set_terminated(parent, status)


def parents(env: Mapping[str, str]) -> dict[str, str]:
    """Return the parent run of each table in what `pipeline` yielded."""
    return dict(part.split(":") for part in env.get(tracking.PARENTS, "").split())


def _log_table(client: Any, table: str, parent: str, began: float) -> None:
    """Log the table if it was written after `began` (seconds since 1970), that is by this run."""
    report = tracking.HERE / "data" / "tables" / f"{table}.md"
    if report.is_file() and report.stat().st_mtime >= began:
        client.log_artifact(parent, str(report))


def register_best(mlflow: Any, client: Any, table: str) -> str | None:
    """Register the table's model with the best validation mean IoU, once per model file.

    Returns:
        Its version; None where no row has been trained.
    """
    rows = reader.load(table, tracking.HERE).table.tables[table].rows
    best = max(
        (run for key in rows if (run := _training_of(client, table, key))),
        key=lambda run: run.data.metrics["val_mean_iou"],
        default=None,
    )
    if best is None:
        return None
    name, digest = f"fcn-{table}", best.data.tags["model.md5"]
    known = client.search_model_versions(f"name = '{name}'")
    for version in known:
        if version.tags.get("model.md5") == digest:
            return str(version.version)
    logged = _whole(client, best.info.run_id)
    tags = {"model.md5": digest, "fcn.key": best.data.tags["fcn.key"]}
    made = mlflow.register_model(f"models:/{logged.model_id}", name, tags=tags)
    return str(made.version)


def _whole(client: Any, run: str) -> Any:
    """Return the newest model of a run that MLflow has all of.

    Raises:
        ValueError: it has none.
    """
    outputs = client.get_run(run).outputs.model_outputs
    models = [client.get_logged_model(output.model_id) for output in outputs]
    whole = [model for model in models if str(model.status) == "READY"]
    if not whole:
        raise ValueError(
            f"MLflow holds no whole model of its run {run}, though it was told of one; look at its "
            "artifacts, or train again: dvc repro --force --single-item train@KEY"
        )
    return max(whole, key=lambda model: model.creation_timestamp)


def _training_of(client: Any, table: str, key: str) -> Any:
    """Return the run that made the model file of `key` as it is now, or None."""
    path = tracking.HERE / "data" / "models" / f"{key}.keras"
    experiment = client.get_experiment_by_name(table)
    if experiment is None or not path.is_file():
        return None
    query = f"tags.`model.md5` = '{tracking.md5(path)}' and tags.`fcn.kind` = 'train'"
    runs = client.search_runs([experiment.experiment_id], query, max_results=1)
    return runs[0] if runs else None
