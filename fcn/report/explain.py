"""The chain from one number of a table back to the publisher's file; every link is checked now."""

import csv
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fcn.common import files
from fcn.common.text import nearest
from fcn.datasets.shared import catalogue
from fcn.records import verdict
from fcn.scores import metrics, per_image
from fcn.settings import dvc_lock, reader
from fcn.settings.dvc_lock import Ran
from fcn.tracking import connection


@dataclass(frozen=True)
class Link:
    """One step of the chain."""

    name: str
    found: str
    """What is there."""
    broken: str = ""
    """What does not fit, and what to do; empty where all is well."""


def chain(table: str, row: str, metric: str, root: Path = Path()) -> Iterator[Link]:
    """Yield the links of one number, from the table back to its source.

    Raises:
        ValueError: there is no such table, row or metric.
    """
    loaded = reader.load(table, root)
    wanted = reader.entry(loaded.table.tables, table, "tables")
    if row not in wanted.rows:
        raise ValueError(f"table {table} has no row {row!r}; {nearest(row, wanted.rows)}")
    if metric not in metrics.SCORES:
        raise ValueError(f"no metric {metric!r}; {nearest(metric, metrics.SCORES)}")
    stages = dvc_lock.read(root)
    model = loaded.table.models[row]
    yield from _number(table, row, metric, root)
    yield from _models(table, row, stages, root)
    yield _settings(f"train@{row}", stages, root)
    yield _run(table, row, root)
    yield _records(model.dataset, stages, root)
    yield from _raw(loaded.table.datasets[model.dataset].raw, wanted.source, stages, root)
    yield _commit(root)


def _number(table: str, row: str, metric: str, root: Path) -> Iterator[Link]:
    """Yield cell, metrics file and counts, which must be one number."""
    path = root / f"data/tables/{table}.csv"
    if not path.is_file():
        raise ValueError(f"{path} is missing; `dvc repro table@{table}` makes it")
    with path.open(encoding="utf-8", newline="") as file:
        cells = {one["row"]: one for one in csv.DictReader(file)}
    if row not in cells:
        raise ValueError(f"{path} has no row {row!r}; `dvc repro table@{table}` makes it anew")
    cell = float(cells[row][metric])
    yield Link("table", f"{metric} {cell!r} in {path.relative_to(root)}")

    said_in = root / f"data/metrics/{table}/{row}.json"
    if not said_in.is_file():
        yield Link("metrics", str(said_in.relative_to(root)), "missing: `git checkout` brings it")
        return
    said = files.read_json(said_in).get(metric)
    other = "" if said == cell else f"not the table's number: `dvc repro table@{table}`"
    yield Link("metrics", f"{metric} {said!r} in {said_in.relative_to(root)}", other)

    counted_in = root / "data/evaluations" / table / row / per_image.FILE
    if not counted_in.is_file():
        why = f"missing: `dvc pull` or `dvc repro evaluate@{row}` brings it"
        yield Link("counts", str(counted_in.relative_to(root)), why)
        return
    images = per_image.read(counted_in)
    again = metrics.SCORES[metric](images.total)
    other = "" if again == said else f"they give {again!r}: `dvc repro --force evaluate@{row}`"
    yield Link("counts", f"of {len(images.ids)} images, computed again just now", other)


def _models(table: str, row: str, stages: dict[str, Ran], root: Path) -> Iterator[Link]:
    """Yield the model that was measured and those it started from."""
    measured = stages.get(f"evaluate@{row}")
    path = f"data/models/{row}.keras"
    used = measured.deps.get(path, "") if measured else ""
    while path:
        made = dvc_lock.maker(stages, path)
        now = dvc_lock.md5(root / path, root)
        name = Path(path).stem
        if made is None:
            why = f"dvc.lock knows no stage that made it: `dvc repro train@{name}`"
        elif made.outs[path] != used:
            why = f"{made.name} has made another since ({made.outs[path]}): `dvc repro`"
        elif not now:
            why = "the file is missing: `dvc pull` or `dvc repro` brings it"
        elif now != used:
            why = f"the file here is another ({now}): `dvc checkout {path}`"
        else:
            why = ""
        yield Link("model", f"{path}, MD5 {used or 'unknown'}", why)
        before = [p for p in made.deps if p.startswith("data/models/")] if made else []
        path = before[0] if before else ""
        used = made.deps[path] if made and path else ""


def _settings(stage: str, stages: dict[str, Ran], root: Path) -> Link:
    """Return whether the training's settings and code are those that are here."""
    if stage not in stages:
        return Link("settings, code", stage, "dvc.lock knows no run of it: `dvc repro`")
    changed = list(dvc_lock.changes(stages[stage], root))
    told = ", ".join(stages[stage].params)
    return Link("settings, code", f"of {stage}: {told}", "; ".join(changed))


def _run(table: str, row: str, root: Path) -> Link:
    """Return MLflow's run that trained the model."""
    path = root / f"data/models/{row}.keras"
    if not connection.installed():
        return Link("MLflow run", "-", "MLflow is not installed here: `make setup`")
    run = connection.open_store().find_training(path, table) if path.is_file() else None
    if run is None:
        where = "MLFLOW_TRACKING_URI may name the store that has it"
        return Link("MLflow run", "-", f"no training run here made this model; {where}")
    commit = run.tags.get("git.commit", "unknown")
    dirty = run.tags.get("git.dirty") == "true"
    changes = ", with changes that were not committed" if dirty else ""
    when = f"{run.started:%Y-%m-%d %H:%M} UTC"
    return Link("MLflow run", f"{run.id} of {when}, Git commit {commit}{changes}")


def _records(dataset: str, stages: dict[str, Ran], root: Path) -> Link:
    """Return whether the records are those of the last conversion, and proven valid."""
    path = f"data/records/{dataset}"
    made, now = dvc_lock.maker(stages, path), dvc_lock.md5(root / path, root)
    if made is None or not now:
        why = f"missing: `dvc pull` or `dvc repro validate@{dataset}` brings them"
        return Link("records", path, why)
    if now != made.outs[path]:
        return Link("records", f"{path}, {now}", f"not what {made.name} wrote: `dvc checkout`")
    try:
        proven = verdict.require_valid(root / f"data/reports/{dataset}/valid.json", root / path)
    except ValueError as error:
        return Link("records", f"{path}, {now}", str(error))
    return Link("records", f"{path}, SHA-256 {proven}, labels proven valid")


def _raw(raw: str, source: str, stages: dict[str, Ran], root: Path) -> Iterator[Link]:
    """Yield the publisher's files and where they come from."""
    path = f"data/raw/{raw}"
    made, now = dvc_lock.maker(stages, path), dvc_lock.md5(root / path, root)
    if made is not None:
        why = "" if now == made.outs[path] else f"not what {made.name} brought: `dvc checkout`"
        yield Link("raw files", f"{path}, {now or 'missing'}", why)
    elif (root / f"{path}.dvc").is_file():
        known = str((root / f"{path}.dvc").read_text("utf-8"))
        why = "" if now and now in known else f"not what {path}.dvc says: `dvc checkout`"
        yield Link("raw files", f"{path}, {now or 'missing'}, added by a person", why)
    else:
        yield Link("raw files", path, "neither a stage nor a .dvc file knows them")
    hashes = root / f"data/hashes/{raw}.json"
    known_hashes = files.read_json(hashes) if hashes.is_file() else {}
    urls = (
        {one.filename: one.url for one in catalogue.load(source).archives}
        if source != "folder"
        else {}
    )
    for name, facts in known_hashes.items():
        file = root / path / name
        same = file.is_file() and files.sha256(file) == facts["sha256"]
        why = "" if same else f"{hashes.relative_to(root)} has another hash of it"
        where = urls.get(name) or "brought by hand"
        yield Link("source", f"{name}, SHA-256 {facts['sha256']}, from {where}", why)


def _commit(root: Path) -> Link:
    """Return the Git commit, and whether it holds the dvc.lock that all of this was read from."""
    done = subprocess.run(
        [
            "git",
            "status",
            "--porcelain",
            "--",
            dvc_lock.LOCK.as_posix(),
            "data",
            "tables",
            "params.yaml",
        ],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return Link("Git commit", "-", "this is no Git checkout")
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True
    )
    changed = [line[3:] for line in done.stdout.splitlines()]
    why = f"not committed: {', '.join(changed[:5])}" if changed else ""
    return Link("Git commit", head.stdout.strip(), why)
