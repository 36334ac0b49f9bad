"""A pipeline run in MLflow: a parent run in each table's experiment, and the best model."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fcn.settings import reader
from fcn.tracking import connection, git, lineage, runs

if TYPE_CHECKING:
    from fcn.tracking.store import Store, StoredRun

MODELS, TABLES = Path("data/models"), Path("data/tables")


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
        stages: all stages of the pipeline run, including those that will not run.

    Raises:
        StoreError: MLflow's store cannot be used.
    """
    if not tables or not connection.installed():
        yield {}
        return
    store, began = connection.open_store(), time.time()
    tags = dict(tags or {})
    parents = {table: store.create_run(table, "reproduce", git.tags() | tags) for table in tables}
    status = "FAILED"
    try:
        yield {runs.PARENTS: " ".join(f"{table}:{run}" for table, run in parents.items())}
        status = "FINISHED"
    finally:
        for table, parent in parents.items():
            try:
                finished = lineage.of_table(stages, table) if status == "FINISHED" else ()
                lineage.tag(store, parent, tags, finished)
                if status == "FINISHED":
                    _log_table(store, table, parent, began)
                    register_best(store, table)
            finally:
                store.writer(parent).terminate(status)


def _log_table(store: "Store", table: str, parent: str, began: float) -> None:
    """Log the table if this pipeline run wrote it: after `began`, in seconds since 1970."""
    report = connection.ROOT / TABLES / f"{table}.md"
    if report.is_file() and report.stat().st_mtime >= began:
        store.writer(parent).log_file(report)


def register_best(store: "Store", table: str) -> str | None:
    """Register the table's model with the best validation mean IoU, once per model file.

    Returns:
        Its version; None if no row has been trained.

    Raises:
        ValueError: MLflow has no complete model of the best run.
    """
    rows = reader.load(table, connection.ROOT).table.tables[table].rows
    best = max(
        (run for key in rows if (run := _training_of(store, table, key))),
        key=lambda run: run.metrics["val_mean_iou"],
        default=None,
    )
    if best is None:
        return None
    model, digest = store.registered_model(f"fcn-{table}"), best.tags["model.md5"]
    for version in model.versions().values():
        if version.tags.get("model.md5") == digest:
            return version.number
    logged = store.find_model(best.id)
    if logged is None:
        raise ValueError(
            f"MLflow has no complete model of its run {best.id}, although one was logged; look at "
            "the run's artifacts, or train again: dvc repro --force --single-item train@KEY"
        )
    return model.register(logged, {"model.md5": digest, "fcn.key": best.tags["fcn.key"]})


def _training_of(store: "Store", table: str, key: str) -> "StoredRun | None":
    """Return the run that made the present model file of `key`."""
    path = connection.ROOT / MODELS / f"{key}.keras"
    return store.find_training(path, table) if path.is_file() else None
