"""The chain from one number of a table back to the publisher's file; every link is checked now."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fcn.audit import changes, committed
from fcn.code import lists
from fcn.common import files
from fcn.common.text import nearest
from fcn.datasets.shared import catalogue
from fcn.records import verdict
from fcn.scores import metrics, per_image
from fcn.settings import dvc_lock, reader
from fcn.settings.dvc_lock import Ran
from fcn.tracking import connection

RESULTS = (dvc_lock.LOCK.as_posix(), "data")
SHOWN = 5
"""Files that are named where many differ from the commit."""


@dataclass(frozen=True)
class Link:
    """One step from the number to its source."""

    name: str
    description: str
    """What it consists of."""
    problem: str = ""
    """What is wrong, and what to do; empty if the link holds."""


def trace(table: str, row: str, metric: str, root: Path = Path()) -> Iterator[Link]:
    """Yield the links of one number, from the table back to its source.

    Raises:
        ValueError: there is no such table, row or metric.
    """
    loaded = reader.load(table, root)
    settings = reader.entry(loaded.table.tables, table, "tables")
    if row not in settings.rows:
        raise ValueError(f"table {table} has no row {row!r}; {nearest(row, settings.rows)}")
    if metric not in metrics.SCORES:
        raise ValueError(f"no metric {metric!r}; {nearest(metric, metrics.SCORES)}")
    stages = dvc_lock.read(root)
    model = loaded.table.models[row]
    yield from _check_number(table, row, metric, stages, root)
    yield from _check_models(row, stages, root)
    yield _check_settings(f"train@{row}", stages, root)
    yield _find_run(table, row, root)
    yield _check_records(model.dataset, stages, root)
    raw = loaded.table.datasets[model.dataset].raw
    yield _check_raw(raw, stages, root)
    yield from _check_sources(raw, settings.source, stages, root)
    yield _check_commit(root)


def _check_number(
    table: str, row: str, metric: str, stages: dict[str, Ran], root: Path
) -> Iterator[Link]:
    """Yield table cell, metrics file and counts, which must agree."""
    name = f"data/tables/{table}.csv"
    path = root / name
    if not path.is_file():
        raise ValueError(f"{path} is missing; `dvc repro table@{table}` makes it")
    with path.open(encoding="utf-8", newline="") as file:
        lines = {line["row"]: line for line in csv.DictReader(file)}
    if row not in lines:
        raise ValueError(f"{path} has no row {row!r}; `dvc repro table@{table}` makes it again")
    cell = float(lines[row][metric])
    maker = dvc_lock.maker(stages, name)
    edited = maker is None or dvc_lock.md5(path, root) != maker.outs[name]
    problem = f"not what dvc.lock records: `dvc repro table@{table}`" if edited else ""
    yield Link("table", f"{metric} {cell!r} in {name}", problem)

    metrics_path = root / f"data/metrics/{table}/{row}.json"
    if not metrics_path.is_file():
        missing = "missing: `git checkout` restores it"
        yield Link("metrics", str(metrics_path.relative_to(root)), missing)
        return
    value = files.read_json(metrics_path).get(metric)
    problem = "" if value == cell else f"not the table's number: `dvc repro table@{table}`"
    yield Link("metrics", f"{metric} {value!r} in {metrics_path.relative_to(root)}", problem)

    counts_path = root / "data/evaluations" / table / row / per_image.FILE
    if not counts_path.is_file():
        problem = f"missing: `dvc pull` or `dvc repro evaluate@{row}` restores it"
        yield Link("counts", str(counts_path.relative_to(root)), problem)
        return
    images = per_image.read(counts_path)
    computed = metrics.SCORES[metric](images.total)
    again = f"they give {computed!r}: `dvc repro --force evaluate@{row}`"
    problem = "" if computed == value else again
    yield Link("counts", f"of {len(images.ids)} images; the metric was recomputed now", problem)


def _check_models(row: str, stages: dict[str, Ran], root: Path) -> Iterator[Link]:
    """Yield the evaluated model and the models that it was initialised from."""
    evaluation = stages.get(f"evaluate@{row}")
    path = f"data/models/{row}.keras"
    used = evaluation.deps.get(path, "") if evaluation else ""
    while path:
        training = dvc_lock.maker(stages, path)
        now = dvc_lock.md5(root / path, root)
        if training is None:
            problem = f"dvc.lock has no stage that made it: `dvc repro train@{Path(path).stem}`"
        elif training.outs[path] != used:
            problem = f"{training.name} has made another since ({training.outs[path]}): `dvc repro`"
        elif not now:
            problem = "the file is missing: `dvc pull` or `dvc repro` restores it"
        elif now != used:
            problem = f"the file in the workspace differs ({now}): `dvc checkout {path}`"
        else:
            problem = ""
        yield Link("model", f"{path}, MD5 {used or 'unknown'}", problem)
        origins = [p for p in training.deps if p.startswith("data/models/")] if training else []
        path = origins[0] if origins else ""
        used = training.deps[path] if training and path else ""


def _check_settings(stage: str, stages: dict[str, Ran], root: Path) -> Link:
    """Return whether the training's settings and code are those of the workspace."""
    if stage not in stages:
        return Link("settings, code", stage, "dvc.lock has no run of it: `dvc repro`")
    changed = list(changes.find(stages[stage], lists.compute(root), root))
    return Link(
        "settings, code", f"of {stage}: {', '.join(stages[stage].params)}", "; ".join(changed)
    )


def _find_run(table: str, row: str, root: Path) -> Link:
    """Return MLflow's run that trained the model."""
    path = root / f"data/models/{row}.keras"
    if not connection.installed():
        return Link("MLflow run", "-", "MLflow is not installed: `make setup`")
    run = connection.open_store().find_training(path, table) if path.is_file() else None
    if run is None:
        hint = "set MLFLOW_TRACKING_URI to the store that has it"
        return Link("MLflow run", "-", f"no training run in this store made this model; {hint}")
    commit = run.tags.get("git.commit", "unknown")
    changes = ", with uncommitted changes" if run.tags.get("git.dirty") == "true" else ""
    when = f"{run.started:%Y-%m-%d %H:%M} UTC"
    return Link("MLflow run", f"{run.id} of {when}, Git commit {commit}{changes}")


def _check_records(dataset: str, stages: dict[str, Ran], root: Path) -> Link:
    """Return whether the records are those of the last conversion, and valid."""
    path = f"data/records/{dataset}"
    conversion, now = dvc_lock.maker(stages, path), dvc_lock.md5(root / path, root)
    if conversion is None or not now:
        problem = f"missing: `dvc pull` or `dvc repro validate@{dataset}` restores them"
        return Link("records", path, problem)
    if now != conversion.outs[path]:
        problem = f"not what {conversion.name} wrote: `dvc checkout`"
        return Link("records", f"{path}, {now}", problem)
    try:
        sha256 = verdict.require_valid(root / f"data/reports/{dataset}/valid.json", root / path)
    except ValueError as error:
        return Link("records", f"{path}, {now}", str(error))
    return Link("records", f"{path}, SHA-256 {sha256}, labels valid")


def _check_raw(raw: str, stages: dict[str, Ran], root: Path) -> Link:
    """Return whether the raw folder is what was downloaded, or added with `dvc add`."""
    path = f"data/raw/{raw}"
    download, now = dvc_lock.maker(stages, path), dvc_lock.md5(root / path, root)
    if not now:
        return Link("raw files", path, _missing(root / path, raw, download))
    if download is not None:
        matches = now == download.outs[path]
        problem = "" if matches else f"not what {download.name} wrote: `dvc checkout {path}`"
        return Link("raw files", f"{path}, {now}", problem)
    tracked = root / f"{path}.dvc"
    if tracked.is_file():
        matches = now in tracked.read_text("utf-8")
        problem = "" if matches else f"not what {path}.dvc records: `dvc checkout {path}.dvc`"
        return Link("raw files", f"{path}, {now}, added by hand", problem)
    problem = f"no stage and no .dvc file records them: `dvc add {path}`"
    return Link("raw files", path, problem)


def _missing(path: Path, raw: str, download: Ran | None) -> str:
    """Return what is missing of the raw files, and the next step."""
    folder = f"data/raw/{raw}"
    if download is None:
        step = f"`dvc checkout {folder}.dvc` restores it after `dvc add`, else put it there again"
    else:
        step = f"`dvc checkout {folder}` or `dvc repro {download.name}` restores it"
    return f"{path} is missing: {step}"


def _check_sources(raw: str, source: str, stages: dict[str, Ran], root: Path) -> Iterator[Link]:
    """Yield the publisher's files with their hashes and where they come from."""
    hashes = root / f"data/hashes/{raw}.json"
    recorded = files.read_json(hashes) if hashes.is_file() else {}
    archives = catalogue.load(source).archives if source != "folder" else ()
    urls = {archive.filename: archive.url for archive in archives}
    folder = f"data/raw/{raw}"
    for name, entry in recorded.items():
        file, problem = root / folder / name, ""
        if not file.is_file():
            problem = _missing(file, raw, dvc_lock.maker(stages, folder))
        elif files.sha256(file) != entry["sha256"]:
            recorded_in = hashes.relative_to(root)
            problem = f"another SHA-256 than in {recorded_in}: `dvc checkout {folder}`"
        origin = urls.get(name) or "placed by hand"
        yield Link("source", f"{name}, SHA-256 {entry['sha256']}, from {origin}", problem)


def _check_commit(root: Path) -> Link:
    """Return the Git commit, and which results and settings differ from it.

    A difference breaks no link: results are compared with dvc.lock, wherever that is from.
    """
    commit = committed.commit(root)
    if commit is None:
        return Link("Git commit", "-", "this is not a Git repository, or it has no commit")
    changed = committed.changed([*RESULTS, "tables", "params.yaml"], root)
    if not changed:
        return Link("Git commit", commit)
    names = ", ".join(changed[:SHOWN]) + (", …" if len(changed) > SHOWN else "")
    return Link("Git commit", f"{commit}; {len(changed)} file(s) differ from it: {names}")
