"""What MLflow remembers of a pipeline run: a parent, its children's origin, the best model."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ruamel.yaml import YAML

from fcn import settings, tracking

LOCK = "dvc.lock"


@contextmanager
def pipeline(tables: Sequence[str]) -> Iterator[dict[str, str]]:
    """Open a parent run in each table's experiment; yield the environment for the stages.

    Afterwards every child is tagged with its entry in dvc.lock, a new table is logged, and the best
    model of each table is registered as `fcn-TABLE`. An exception marks the parents failed.

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
                tracking.experiment(mlflow, table), run_name="reproduce", tags=tracking.git_tags()
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
                    _tag_children(client, parent)
                    if status == "FINISHED":
                        _log_table(client, table, parent, began)
                        register_best(mlflow, client, table)
                finally:
                    client.set_terminated(parent, status)


def _log_table(client: Any, table: str, parent: str, began: float) -> None:
    """Log the table if it was written after `began` (seconds since 1970), that is by this run."""
    report = tracking.HERE / "data" / "tables" / f"{table}.md"
    if report.is_file() and report.stat().st_mtime >= began:
        client.log_artifact(parent, str(report))


def _tag_children(client: Any, parent: str) -> None:
    """Tag each child with what dvc.lock says of its stage, which only now is known."""
    path = tracking.HERE / LOCK
    lock = YAML(typ="safe", pure=True).load(path.read_text("utf-8")) if path.is_file() else {}
    experiment = client.get_run(parent).info.experiment_id
    children = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent}'")
    for child in children:
        entry = lock.get("stages", {}).get(child.data.tags.get("dvc.stage"))
        for name, value in (_lock_tags(entry) if entry else {}).items():
            client.set_tag(child.info.run_id, name, value)


def _lock_tags(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return the hash of a stage's whole entry, and the MD5 of each of its outs."""
    whole = hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
    outs = {out["path"]: out["md5"] for out in entry.get("outs", [])}
    return {"dvc.lock.sha256": whole, "dvc.lock.outs": json.dumps(outs)}


def register_best(mlflow: Any, client: Any, table: str) -> None:
    """Register the table's model with the best validation mean IoU, once per model file."""
    rows = settings.load(table, tracking.HERE).table.tables[table].rows
    best = max(
        (run for key in rows if (run := _training_of(client, table, key))),
        key=lambda run: run.data.metrics["val_mean_iou"],
        default=None,
    )
    if best is None:
        return
    name, digest = f"fcn-{table}", best.data.tags["model.md5"]
    known = client.search_model_versions(f"name = '{name}'")
    if any(version.tags.get("model.md5") == digest for version in known):
        return
    (logged,) = client.get_run(best.info.run_id).outputs.model_outputs
    tags = {"model.md5": digest, "fcn.key": best.data.tags["fcn.key"]}
    mlflow.register_model(f"models:/{logged.model_id}", name, tags=tags)


def _training_of(client: Any, table: str, key: str) -> Any:
    """Return the run that made the model file of `key` as it is now, or None."""
    path = tracking.HERE / "data" / "models" / f"{key}.keras"
    experiment = client.get_experiment_by_name(table)
    if experiment is None or not path.is_file():
        return None
    query = f"tags.`model.md5` = '{tracking.md5(path)}' and tags.`fcn.kind` = 'train'"
    runs = client.search_runs([experiment.experiment_id], query, max_results=1)
    return runs[0] if runs else None
