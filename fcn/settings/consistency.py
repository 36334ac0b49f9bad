"""Whether the sections of one table file fit each other: names, splits, initial weights.

Each entry repeats the few names from which DVC makes paths; every repetition is compared with its
source here.
"""

from collections.abc import Iterator
from typing import Any

from fcn.common.text import nearest
from fcn.settings import names
from fcn.settings.table import TableFile

OWN = "pretrained/own"
"""The `source` of a person's own weights."""


def problems(file: TableFile, name: str) -> Iterator[str]:
    """Yield each contradiction between the sections of one file, as a line."""
    sections: dict[str, dict[str, Any]] = {
        "downloads": file.downloads,
        "datasets": file.datasets,
        "backbones": file.backbones,
        "models": file.models,
        "published": file.published,
    }
    # A person's own files are added with `dvc add`, not by a stage.
    own = [
        *(data.raw for data in file.datasets.values() if data.module == "folder"),
        *(start.raw for start in file.backbones.values() if start.source == OWN),
    ]
    for section, entries in sections.items():
        for key, value in entries.items():
            where = f"{section}.{key}"
            if key.partition("-")[0] != name:
                yield f"{where}: keys of this file begin with its name, {name!r}"
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
        if download and module != download.module in names.modules("datasets"):
            yield _differs(where, module, download.module)
    for key in file.backbones.keys() & file.models.keys():
        yield f"models.{key}: a backbone has this key; both would be data/models/{key}.keras"
    for key, table in file.tables.items():
        data = file.datasets.get(table.dataset)
        if data and table.source != data.module in names.modules("datasets"):
            yield _differs(f"tables.{key}.source", table.source, data.module)
        if table.dataset not in file.datasets:
            yield f"tables.{key}.dataset: {_unknown(table.dataset, file.datasets)}"
        for row in table.rows:
            if row not in file.models:
                yield f"tables.{key}.rows: {_unknown(row, file.models)}"
            elif file.models[row].dataset != table.dataset:
                learned = file.models[row].dataset
                yield f"tables.{key}.rows: {row} is trained on {learned!r}, not {table.dataset!r}"
        yield from _seeds(file, key)
    for key, cells in file.published.items():
        rows = file.tables[cells.table].rows if cells.table in file.tables else {}
        if cells.row is not None and cells.row not in rows:
            yield f"published.{key}.row: {_unknown(cells.row, rows)}"
    yield from _broken_initialisations(file)
    yield from _unknown_splits(file)
    yield from _networks_settings_of_classifiers(file)


def _seeds(file: TableFile, name: str) -> Iterator[str]:
    """Yield the differences between a row and its replicas other than seed and initial weights."""
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
                yield f"{where}: {key} differs from {row} in more than `seed` and `init_from`"
        seeds = [file.models[key].seed for key in known]
        if len(set(seeds)) < len(seeds):
            yield f"{where}: got seeds {seeds}, allowed: one for each (None: params.yaml's)"


def uneven_batches(file: TableFile, devices: int) -> Iterator[str]:
    """Yield the trainings whose batches do not divide over the devices."""
    trainings = {f"models.{key}.training": model.training for key, model in file.models.items()}
    for key, backbone in file.backbones.items():
        if backbone.classifier is not None:
            trainings[f"backbones.{key}.classifier.training"] = backbone.classifier.training
    for where, training in trainings.items():
        if training.batch % devices:
            yield f"{where}.batch: got {training.batch}, allowed: multiples of `devices`, {devices}"


def _broken_initialisations(file: TableFile) -> Iterator[str]:
    known = {**file.backbones, **file.models}
    for key, model in file.models.items():
        if model.init_from not in known:
            yield f"models.{key}.init_from: {_unknown(model.init_from, known)}"
            continue
        chain = [key]
        while chain[-1] in file.models and file.models[chain[-1]].init_from not in chain:
            chain.append(file.models[chain[-1]].init_from)
        if chain[-1] in file.models:
            cycle = " <- ".join([*chain, file.models[chain[-1]].init_from])
            yield f"models.{key}.init_from: a cycle: {cycle}"
            continue
        root = chain[-1]
        if root not in file.backbones:
            continue  # reported where it is named
        if model.network != root:
            yield (
                f"models.{key}.network: got {model.network!r}, allowed: {root!r}, the backbone "
                "that it is initialised from"
            )
        module = file.backbones[root].module
        if model.backbone != module in names.modules("backbones"):
            yield f"models.{key}.backbone: got {model.backbone!r}, but {root} is {module!r}"


def _unknown_splits(file: TableFile) -> Iterator[str]:
    for key, data in file.datasets.items():
        if data.ceiling.split not in data.convert.splits:
            split = _unknown(data.ceiling.split, data.convert.splits)
            yield f"datasets.{key}.ceiling.split: {split}"
    for key, model in file.models.items():
        learned = file.datasets.get(model.dataset)
        for split in ("train", "val"):
            if learned and split not in learned.convert.splits:
                splits = ", ".join(learned.convert.splits)
                yield (
                    f"models.{key}.dataset: training needs the split {split!r} of "
                    f"{model.dataset!r}, which has {splits}"
                )
    for key, table in file.tables.items():
        data_of_table = file.datasets.get(table.dataset)
        if data_of_table and table.evaluation.split not in data_of_table.convert.splits:
            split = _unknown(table.evaluation.split, data_of_table.convert.splits)
            yield f"tables.{key}.evaluation.split: {split}"


def _networks_settings_of_classifiers(file: TableFile) -> Iterator[str]:
    """Yield settings that a classifier cannot have: one label per image, one size, no head."""
    for key, backbone in file.backbones.items():
        training = backbone.classifier.training if backbone.classifier else None
        for name in ("reduction", "class_weights", "crop", "backbone_rate"):
            if training and getattr(training, name) != type(training).model_fields[name].default:
                where = f"backbones.{key}.classifier.training.{name}"
                yield f"{where}: got {getattr(training, name)!r}; only allowed in `models`"


def _differs(where: str, name: str, module: str) -> str:
    return f"{where}: got {name!r}, allowed: {module!r}, the module that the files belong to"


def _unknown(name: str, known: Any) -> str:
    return f"got {name!r}, which does not exist; {nearest(name, known)}"
