"""Which run made what: every stage of a pipeline run points to the run behind its outs.

A stage that ran is a child of the pipeline's parent run. One that DVC found unchanged has no child;
the parent then names the older run that made what dvc.lock says of it.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from fcn.settings import reader
from fcn.settings.dvc_lock import LOCK
from fcn.tracking import runs

CACHED = "cached."
"""`cached.train.digits-fcn8s` on a parent is the id of the run that made what was taken again;
MLflow allows no `@` in a tag's name."""


@dataclass(frozen=True)
class Origin:
    """Where the outs of one stage come from."""

    stage: str
    """As DVC names it: `train@digits-fcn8s`."""
    run: str
    """The id of the MLflow run that made them."""
    page: str | None
    """Its page, where MLflow's store is a server."""
    cached: bool
    """The run is an older one."""


def tag(client: Any, parent: str, tags: Mapping[str, str], stages: Collection[str]) -> None:
    """Tag a pipeline's parent and its children with dvc.lock, and `tags` on each.

    Args:
        client: MLflow's.
        parent: the id of the parent run.
        tags: what parent and children have in common, such as Prefect's flow run.
        stages: those that ended well; each without a child is looked up among older runs.
    """
    path = runs.HERE / LOCK
    content = path.read_bytes() if path.is_file() else b""
    entries = (YAML(typ="safe", pure=True).load(content) or {}).get("stages", {})
    ran = set()
    for child in _children(client, parent):
        stage = child.data.tags.get("dvc.stage", "")
        known = _entry_tags(entries[stage]) if stage in entries else {}
        _set(client, child.info.run_id, {**tags, **known})
        if child.info.status == "FINISHED":
            ran.add(stage)
    made = {
        CACHED + stage.replace("@", "."): run
        for stage in sorted(set(stages) & entries.keys() - ran)
        if (run := _maker(client, parent, stage, entries[stage]))
    }
    _set(client, parent, {"dvc.lock.sha256": hashlib.sha256(content).hexdigest(), **made})


def of(parent: str, stages: Collection[str]) -> list[Origin]:
    """Return the origin of each stage that has one, after `tag`.

    Raises:
        ValueError: MLflow's store cannot be used.
    """
    mlflow = runs.store()
    with runs.refusing(mlflow):
        return list(_of(mlflow.MlflowClient(), parent, stages))


def _of(client: Any, parent: str, stages: Collection[str]) -> Iterator[Origin]:
    ran = {
        child.data.tags.get("dvc.stage"): child
        for child in reversed(_children(client, parent))  # of several tries the newest
    }
    found = client.get_run(parent)
    for stage in stages:
        cached = found.data.tags.get(CACHED + stage.replace("@", "."))
        run = ran[stage].info.run_id if stage in ran else cached
        if run is not None:
            yield Origin(stage, run, page(client, found.info.experiment_id, run), stage not in ran)


def page(client: Any, experiment: str, run: str) -> str | None:
    """Return the address of a run's page; None where the store has no server."""
    uri = str(client.tracking_uri).rstrip("/")
    if not uri.startswith(("http://", "https://")):
        return None
    return f"{uri}/#/experiments/{experiment}/runs/{run}"


def _children(client: Any, parent: str) -> list[Any]:
    """Return the children, the newest first."""
    experiment = client.get_run(parent).info.experiment_id
    return list(client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent}'"))


def _entry_tags(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return the hash of a stage's whole entry, and the MD5 of each of its outs."""
    whole = hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
    return {"dvc.lock.sha256": whole, "dvc.lock.outs": json.dumps(_outs(entry))}


def _outs(entry: Mapping[str, Any]) -> dict[str, str]:
    return {out["path"]: out["md5"] for out in entry.get("outs", [])}


def _maker(client: Any, parent: str, stage: str, entry: Mapping[str, Any]) -> str | None:
    """Return the newest run of a stage that left the outs of its entry.

    A run under bare `dvc repro` carries no tags of dvc.lock; a training is known by its model.
    """
    outs = _outs(entry)
    experiment = client.get_run(parent).info.experiment_id
    query = f"tags.`dvc.stage` = '{stage}' and attributes.status = 'FINISHED'"
    for run in client.search_runs([experiment], query, max_results=100):
        tags = run.data.tags
        if tags.get("dvc.lock.outs") == json.dumps(outs) or tags.get("model.md5") in outs.values():
            return str(run.info.run_id)
    return None


def _set(client: Any, run: str, tags: Mapping[str, str]) -> None:
    for name, value in tags.items():
        client.set_tag(run, name, value)


def tables(stages: Collection[str], table: str) -> list[str]:
    """Return the stages that belong to a table, in order."""
    return [stage for stage in stages if reader.table_of(stage.partition("@")[2]) == table]
