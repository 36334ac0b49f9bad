"""A trained model by the name a person gives it: a file, a row of a table, or MLflow's registry.

Found without Keras, so that a wrong name is answered at once.
"""

import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fcn.common import files, messages
from fcn.datasets.shared import catalogue
from fcn.datasets.shared.voc import colour
from fcn.records.record import LABELS, Labels
from fcn.settings import reader
from fcn.tracking import connection, git

MODELS = Path("data/models")
REGISTRY = "models:/"
NAMES = "a file (model.keras), a row of a table (digits-fcn8s) or models:/NAME@ALIAS"


@dataclass(frozen=True)
class Trained:
    """A model's file, what its numbers mean, and where it comes from."""

    name: str
    path: Path
    labels: Labels | None
    """None: the file does not say, and no table is known to have made it."""
    facts: dict[str, str]
    """As they are written into answers."""

    def named(self, channels: int, classes: int) -> Labels:
        """Return the labels for a network of this input and output; numbers where none are known.

        Raises:
            ValueError: the network is not the one that the labels were made for.
        """
        if self.labels is None:
            messages.say(f"warning: {self.path} does not name its classes; they are numbered")
            numbers = range(classes)
            names, colours = map(str, numbers), map(colour, numbers)
            return Labels("unknown", tuple(names), tuple(colours), channels)
        known = (self.labels.channels, len(self.labels.classes))
        if known != (channels, classes):
            raise ValueError(
                f"{self.path} takes {channels} channel(s) and tells {classes} classes apart, but "
                f"{self.labels.dataset} has {known[0]} and {known[1]}: a model of another table?"
            )
        return self.labels


@contextmanager
def find(name: str | None, tracked: bool = True) -> Iterator[Trained]:
    """Find a model; a file that MLflow's registry brought is gone when the block ends.

    Args:
        name: a file, a row's key or a name in the registry; None: the last row of the first table.
        tracked: ask MLflow which run made the file, where a store is there to be asked.

    Raises:
        ValueError: there is no such model, or its labels cannot be read.
    """
    if name is None:
        name = list(reader.load(table := reader.active()[0]).table.tables[table].rows)[-1]
    if name.startswith(REGISTRY):
        with tempfile.TemporaryDirectory() as folder:
            path, run = _registered(name, Path(folder))
            yield _trained(name, path, run)
    else:
        path = Path(name) if name.endswith(".keras") else _of_row(name)
        if not path.is_file():
            hint = "; `dvc repro` makes it" if path.parent == MODELS else ""
            raise ValueError(f"the model {path} is missing{hint}; allowed: {NAMES}")
        yield _trained(name, path, _run_of(path) if tracked else None)


def _of_row(key: str) -> Path:
    try:
        reader.entry(reader.load(key).table.models, key, "models")
    except ValueError as error:
        raise ValueError(f"no model {key!r} ({error}); allowed: {NAMES}") from None
    return MODELS / f"{key}.keras"


def _trained(name: str, path: Path, run: str | None) -> Trained:
    commit = git.commit()
    facts = {
        "Software": "fcn-line",
        "Model": name,
        "Model SHA-256": files.sha256(path),
        "MLflow run": run,
        "Git commit": str(commit) if commit else None,
    }
    return Trained(name, path, _labels(path), {key: said for key, said in facts.items() if said})


def _labels(path: Path) -> Labels | None:
    """Return the labels inside a model's file, else those of the table that its name tells of."""
    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.read(LABELS) if LABELS in archive.namelist() else None
        if inside is not None:
            return _parsed(json.loads(inside))
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"{path} is no model, or damaged ({error})") from None
    try:
        table = reader.load(path.stem).table
        data = table.datasets[table.models[path.stem].dataset]
    except (ValueError, KeyError):
        return None  # not the name of a row
    known = catalogue.load(data.module, data.convert)
    return Labels(known.name, known.classes, known.colours, known.channels)


def _parsed(content: Any) -> Labels:
    colours = np.asarray(content["colours"], np.uint8).reshape(-1, 3).tolist()
    names = tuple(map(str, content["classes"]))
    if len(names) != len(colours):
        raise ValueError(f"{len(names)} classes but {len(colours)} colours")
    triples = tuple((red, green, blue) for red, green, blue in colours)
    return Labels(str(content["dataset"]), names, triples, int(content["channels"]))


def _registered(uri: str, folder: Path) -> tuple[Path, str | None]:
    """Download a model of MLflow's registry; return its file and the run that made it."""
    if not connection.installed():
        raise ValueError(f"{uri} needs MLflow, which is not installed; name a file instead")
    store = connection.open_store()
    try:
        return store.download_model(uri, folder), store.registered_run(uri)
    except connection.StoreError as error:
        raise ValueError(
            f"{uri} is not in MLflow's registry at {store.uri} ({error.reason}); "
            "allowed: models:/NAME@ALIAS and models:/NAME/VERSION that `mlflow ui` shows"
        ) from None


def _run_of(path: Path) -> str | None:
    """Return the run that made a file, if MLflow's store exists and has it."""
    if not connection.exists():
        return None
    try:
        run = connection.open_store().find_training(path)
    except connection.StoreError as error:
        messages.say(f"warning: MLflow did not say which run made {path} ({error.reason})")
        return None
    return run.id if run else None
