"""Which run made which outs: every stage of a pipeline run points to the run behind its outs.

A stage that ran is a child of the pipeline's parent run. A stage that DVC found unchanged has no
child; the parent then names the older run that made the outs in dvc.lock.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from fcn.settings.dvc_lock import LOCK
from fcn.settings.keys import table_of
from fcn.tracking import connection

if TYPE_CHECKING:
    from fcn.tracking.store import Store, StoredRun

CACHED = "cached."
"""`cached.train.digits-fcn8s` on a parent is the id of the run that made the outs of a stage that
did not run; MLflow allows no `@` in a tag's name."""


@dataclass(frozen=True)
class StageRun:
    """The run that made the outs of one stage."""

    stage: str
    """As DVC names it: `train@digits-fcn8s`."""
    run: str
    """The id of the MLflow run."""
    page: str | None
    """Its page, where MLflow's store is a server."""
    cached: bool
    """The run is an older one."""


def tag(store: "Store", parent: str, tags: Mapping[str, str], stages: Collection[str]) -> None:
    """Tag a pipeline's parent and its children with dvc.lock, and the children with `tags`.

    Args:
        store: MLflow's.
        parent: the id of the parent run.
        tags: what parent and children have in common, such as Prefect's flow run.
        stages: those that finished; each without a child is looked up among older runs.
    """
    path = connection.ROOT / LOCK
    content = path.read_bytes() if path.is_file() else b""
    entries = (YAML(typ="safe").load(content) or {}).get("stages", {})
    pipeline, ran = store.run(parent), set()
    for child in store.children(pipeline):
        stage = child.tags.get("dvc.stage", "")
        store.writer(child.id).set_tags({**tags, **_lock_tags(entries.get(stage))})
        if child.status == "FINISHED":
            ran.add(stage)
    makers = {
        _cached(stage): run
        for stage in sorted(set(stages) & entries.keys() - ran)
        if (run := _maker(store, pipeline, stage, _outs(entries[stage])))
    }
    whole = hashlib.sha256(content).hexdigest()
    store.writer(parent).set_tags({"dvc.lock.sha256": whole, **makers})


def of(parent: str, stages: Collection[str]) -> list[StageRun]:
    """Return the run behind each stage that has one, after `tag`.

    Raises:
        StoreError: MLflow's store cannot be used.
    """
    store = connection.open_store()
    pipeline = store.run(parent)
    children = reversed(store.children(pipeline))  # of several attempts the newest stays
    ran = {child.tags.get("dvc.stage"): child.id for child in children}
    made = {stage: ran.get(stage) or pipeline.tags.get(_cached(stage)) for stage in stages}
    return [
        StageRun(stage, run, page(store.uri, pipeline.experiment, run), stage not in ran)
        for stage, run in made.items()
        if run is not None
    ]


def page(uri: str, experiment: str, run: str) -> str | None:
    """Return the address of a run's page; None where the store at `uri` is no server."""
    if not uri.startswith(("http://", "https://")):
        return None
    return f"{uri.rstrip('/')}/#/experiments/{experiment}/runs/{run}"


def of_table(stages: Collection[str], table: str) -> list[str]:
    """Return the stages that belong to a table, in order."""
    return [stage for stage in stages if table_of(stage.partition("@")[2]) == table]


def _cached(stage: str) -> str:
    return CACHED + stage.replace("@", ".")


def _lock_tags(entry: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the hash of a stage's whole entry, and the MD5 of each of its outs."""
    if entry is None:
        return {}
    whole = hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
    return {"dvc.lock.sha256": whole, "dvc.lock.outs": json.dumps(_outs(entry))}


def _outs(entry: Mapping[str, Any]) -> dict[str, str]:
    return {out["path"]: out["md5"] for out in entry.get("outs", [])}


def _maker(store: "Store", parent: "StoredRun", stage: str, outs: Mapping[str, str]) -> str | None:
    """Return the newest run of a stage that made the outs.

    A run under bare `dvc repro` has no tags of dvc.lock; a training is identified by its model.
    """
    query = f"tags.`dvc.stage` = '{stage}' and attributes.status = 'FINISHED'"
    for run in store.search(query, parent.experiment, limit=100):
        same_outs = run.tags.get("dvc.lock.outs") == json.dumps(outs)
        if same_outs or run.tags.get("model.md5") in outs.values():
            return run.id
    return None
