"""Whether the sections of one table file fit each other: names that are there, splits, starts.

Each entry repeats the few names from which DVC makes paths; here every repetition is held against
the place it comes from.
"""

from collections.abc import Iterator
from typing import Any

from fcn.common.text import nearest
from fcn.settings.table import TableFile

OWN = "pretrained/own"
"""The `source` of weights that a person brings."""


def problems(file: TableFile, name: str) -> Iterator[str]:
    """Yield what is wrong between the sections of one file, a line each."""
    sections: dict[str, dict[str, Any]] = {
        "downloads": file.downloads,
        "datasets": file.datasets,
        "backbones": file.backbones,
        "models": file.models,
        "published": file.published,
    }
    # What is one's own is brought by `dvc add`, not by a stage.
    own = [
        *(data.raw for data in file.datasets.values() if data.module == "folder"),
        *(start.raw for start in file.backbones.values() if start.source == OWN),
    ]
    for section, entries in sections.items():
        for key, value in entries.items():
            where = f"{section}.{key}"
            if key.partition("-")[0] != name:
                yield f"{where}: keys of this file start with its name, {name!r}"
            if value.table != name:
                yield f"{where}.table: got {value.table!r}, allowed: {name!r}, the file's name"
            if section in ("datasets", "backbones") and value.raw not in [*file.downloads, *own]:
                yield f"{where}.raw: {_unknown(value.raw, file.downloads)}"
            if section in ("backbones", "models") and value.dataset not in file.datasets:
                yield f"{where}.dataset: {_unknown(value.dataset, file.datasets)}"
    if list(file.tables) != [name]:
        yield f"tables: got {list(file.tables)}, allowed: one key, {name!r}"
    reads = [
        *((f"datasets.{key}.module", data.module, data.raw) for key, data in file.datasets.items()),
        *((f"backbones.{key}.source", b.source, b.raw) for key, b in file.backbones.items()),
    ]
    for where, module, raw in reads:
        download = file.downloads.get(raw)
        if download and download.module != module:
            yield _differs(where, module, download.module)
    for key in file.backbones.keys() & file.models.keys():
        yield f"models.{key}: a backbone has this key; both would be data/models/{key}.keras"
    for key, table in file.tables.items():
        data = file.datasets.get(table.dataset)
        if data and data.module != table.source:
            yield _differs(f"tables.{key}.source", table.source, data.module)
        if table.dataset not in file.datasets:
            yield f"tables.{key}.dataset: {_unknown(table.dataset, file.datasets)}"
        for row in table.rows:
            if row not in file.models:
                yield f"tables.{key}.rows: {_unknown(row, file.models)}"
            elif file.models[row].dataset != table.dataset:
                learned = file.models[row].dataset
                yield f"tables.{key}.rows: {row} learns {learned!r}, not {table.dataset!r}"
        yield from _seeds(file, key)
    for key, cells in file.published.items():
        rows = file.tables[cells.table].rows if cells.table in file.tables else {}
        if cells.row is not None and cells.row not in rows:
            yield f"published.{key}.row: {_unknown(cells.row, rows)}"
    yield from _broken_starts(file)
    yield from _unknown_splits(file)
    yield from _pixels_of_classifiers(file)


def _seeds(file: TableFile, name: str) -> Iterator[str]:
    """Yield what keeps another training of a row from being the same but for its seed."""
    table = file.tables[name]
    for row, others in table.replicas.items():
        where = f"tables.{name}.replicas.{row}"
        if row not in table.rows:
            yield f"{where}: {_unknown(row, table.rows)}"
        known = [key for key in (row, *others) if key in file.models]
        for key in others:
            if key not in file.models:
                yield f"{where}: {_unknown(key, file.models)}"
        same = [
            file.models[key].model_copy(update={"seed": None, "init_from": ""}) for key in known
        ]
        for key, other in zip(known, same, strict=True):
            if other != same[0]:
                yield f"{where}: {key} differs from {row} in more than its seed and its start"
        seeds = [file.models[key].seed for key in known]
        if len(set(seeds)) < len(seeds):
            yield f"{where}: a seed for each; got {seeds} (none: params.yaml's)"


def uneven_batches(file: TableFile, devices: int) -> Iterator[str]:
    """Yield the trainings whose batches cannot be shared out evenly over the devices."""
    trainings = {f"models.{key}.training": model.training for key, model in file.models.items()}
    for key, backbone in file.backbones.items():
        if backbone.classifier is not None:
            trainings[f"backbones.{key}.classifier.training"] = backbone.classifier.training
    for where, training in trainings.items():
        if training.batch % devices:
            yield f"{where}.batch: got {training.batch}, allowed: multiples of `devices`, {devices}"


def _broken_starts(file: TableFile) -> Iterator[str]:
    known = {**file.backbones, **file.models}
    for key, model in file.models.items():
        if model.init_from not in known:
            yield f"models.{key}.init_from: {_unknown(model.init_from, known)}"
            continue
        chain = [key]
        while chain[-1] in file.models and file.models[chain[-1]].init_from not in chain:
            chain.append(file.models[chain[-1]].init_from)
        if chain[-1] in file.models:
            circle = " <- ".join([*chain, file.models[chain[-1]].init_from])
            yield f"models.{key}.init_from: goes in a circle: {circle}"
        elif chain[-1] in file.backbones and file.backbones[chain[-1]].module != model.backbone:
            other = file.backbones[chain[-1]].module
            yield f"models.{key}.backbone: got {model.backbone!r}, but it starts from {other!r}"


def _unknown_splits(file: TableFile) -> Iterator[str]:
    for key, data in file.datasets.items():
        if data.ceiling.split not in data.convert.splits:
            split = _unknown(data.ceiling.split, data.convert.splits)
            yield f"datasets.{key}.ceiling.split: {split}"
    for key, model in file.models.items():
        learned = file.datasets.get(model.dataset)
        for split in ("train", "val"):
            if learned and split not in learned.convert.splits:
                yield f"models.{key}.dataset: {model.dataset!r} has no split {split!r} to train on"
    for key, table in file.tables.items():
        data_of_table = file.datasets.get(table.dataset)
        if data_of_table and table.evaluation.split not in data_of_table.convert.splits:
            split = _unknown(table.evaluation.split, data_of_table.convert.splits)
            yield f"tables.{key}.evaluation.split: {split}"


def _pixels_of_classifiers(file: TableFile) -> Iterator[str]:
    """Yield what a classifier is told though it has one label for an image, and one size."""
    for key, backbone in file.backbones.items():
        training = backbone.classifier.training if backbone.classifier else None
        for name in ("reduction", "class_weights", "crop"):
            if training and getattr(training, name) != type(training).model_fields[name].default:
                where = f"backbones.{key}.classifier.training.{name}"
                yield f"{where}: got {getattr(training, name)!r}; only `models` may set this"


def _differs(where: str, name: str, module: str) -> str:
    return f"{where}: got {name!r}, allowed: {module!r}, the module that the files belong to"


def _unknown(name: str, known: Any) -> str:
    return f"got {name!r}, which is not there; {nearest(name, known)}"
