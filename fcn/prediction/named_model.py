"""The file of a trained model, by its path, its row in a table, or its name in MLflow's registry.

A row needs a project, except the one whose model ships with the package (`fcn.samples.shipped`).
Works without Keras, so that a wrong name fails at once.
"""

import json
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fcn.common import files, messages
from fcn.common.text import nearest, nearest_path
from fcn.datasets.shared import catalogue
from fcn.datasets.shared.voc import colour
from fcn.pictures.provenance import SOFTWARE
from fcn.records.labels import LABELS, Labels
from fcn.samples import shipped
from fcn.serving import onnx_file
from fcn.settings import project, reader
from fcn.tracking import connection, git

if TYPE_CHECKING:
    from fcn.tracking.store import Store

MODELS = Path("data/models")
REGISTRY = "models:/"
SHA256 = "Model SHA-256"
"""The title of the file's hash in the provenance."""
NAMES = "a file (.keras, .onnx), a row of a table (digits-fcn8s) or models:/NAME@ALIAS"
SUFFIXES = (".keras", onnx_file.SUFFIX)


@dataclass(frozen=True)
class NamedModel:
    """A model's file, its classes and its provenance."""

    name: str
    path: Path
    labels: Labels | None
    """None: the file has none, and its name is no row of a table."""
    provenance: dict[str, str]
    """Model, MLflow run and Git commit, as they are written into results."""
    origin: str
    """Where the file comes from, for a message; of the registry `models:/NAME/VERSION`."""

    def __str__(self) -> str:
        """Return the name, where the file comes from, and the start of its SHA-256."""
        sha256 = f"SHA-256 {self.provenance[SHA256][:12]}"
        return ", ".join(dict.fromkeys([self.name, self.origin, sha256]))

    def labels_of(self, channels: int, classes: int) -> Labels:
        """Return the labels of a network with so many channels and classes.

        Without labels in the file the classes are named by their numbers.

        Raises:
            ValueError: the file's labels have other numbers of channels or classes.
        """
        if self.labels is None:
            messages.say(f"warning: {self.path} does not name its classes; they get numbers")
            numbers = range(classes)
            names, colours = map(str, numbers), map(colour, numbers)
            return Labels("unknown", tuple(names), tuple(colours), channels)
        known = (self.labels.channels, len(self.labels.classes))
        if known != (channels, classes):
            raise ValueError(
                f"{self.path} has {channels} channel(s) and {classes} classes, but its labels "
                f"({self.labels.dataset}) have {known[0]} and {known[1]}; is it a model of "
                "another table?"
            )
        return self.labels


@contextmanager
def find(name: str | None, tracking: bool = True) -> Iterator[NamedModel]:
    """Find a model; a file from MLflow's registry is deleted when the block ends.

    Args:
        name: a file, a row's key or a name in the registry; None: the last row of the first
            table, outside a project the model that ships.
        tracking: look up the run that made the file in MLflow's store, if there is one.

    Raises:
        ValueError: there is no such model, or its labels cannot be read.
    """
    root = project.find()
    if name is None:
        name = shipped.MODEL if root is None else _default(root)
    if name.startswith(REGISTRY):
        with tempfile.TemporaryDirectory() as folder:
            version, path, run = _registered(name, Path(folder))
            yield _described(name, path, run, root, version)
        return
    is_file = name.endswith(SUFFIXES)
    path = Path(name) if is_file else _of_row(name, root)
    if not path.is_file():
        hint = nearest_path(path) if is_file else "; `dvc repro` makes it"
        raise ValueError(f"the model {path} is missing; allowed: {NAMES}{hint}")
    origin = "shipped with fcn" if path.parent == shipped.FOLDER else str(path)
    yield _described(name, path, _run_of(path) if tracking else None, root, origin)


def _default(root: Path) -> str:
    """Return the last row of the first active table."""
    table = reader.active(root)[0]
    return list(reader.load(table, root).table.tables[table].rows)[-1]


def _of_row(key: str, root: Path | None) -> Path:
    """Return the path of a row's model in the project, or of the model that ships."""
    path = (root or Path()) / MODELS / f"{key}.keras"
    if key == shipped.MODEL and (root is None or not path.is_file()):
        return shipped.model()
    try:
        table = reader.load(key, root or project.require("a row of a table")).table
        reader.entry(table.models, key, "models")
    except ValueError as error:
        raise ValueError(f"no model {key!r} ({error}); allowed: {NAMES}") from None
    return path


def _described(
    name: str, path: Path, run: str | None, root: Path | None, origin: str
) -> NamedModel:
    commit = git.commit()
    metadata = _metadata(path)
    provenance = {
        **SOFTWARE,
        "Model": name,
        SHA256: files.sha256(path),
        onnx_file.SOURCE: metadata.get(onnx_file.SOURCE),
        "MLflow run": run,
        "Git commit": str(commit) if commit else None,
    }
    known = {key: text for key, text in provenance.items() if text}
    return NamedModel(name, path, _labels(path, metadata.get(LABELS), root), known, origin)


def _metadata(path: Path) -> Mapping[str, str]:
    """Return what a model's file says about the model: of a `.keras` file its labels alone."""
    if path.suffix == onnx_file.SUFFIX:
        return onnx_file.read_metadata(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = {LABELS} & set(archive.namelist())
            return {name: archive.read(name).decode() for name in names}
    except (zipfile.BadZipFile, ValueError) as error:
        raise ValueError(f"{path} is no model, or damaged ({error})") from None


def _labels(path: Path, inside: str | None, root: Path | None) -> Labels | None:
    """Return the labels in a model's file, else those of the row that the file is named after."""
    if inside is not None:
        try:
            return _parsed(json.loads(inside))
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"{path} is no model, or damaged ({error})") from None
    try:
        table = reader.load(path.stem, root or Path()).table
        data = table.datasets[table.models[path.stem].dataset]
    except (ValueError, KeyError):
        return None  # The name is no row.
    dataset = catalogue.load(data.module, data.convert)
    return Labels(dataset.name, dataset.classes, dataset.colours, dataset.channels)


def _parsed(content: Any) -> Labels:
    colours = np.asarray(content["colours"], np.uint8).reshape(-1, 3).tolist()
    names = tuple(map(str, content["classes"]))
    if len(names) != len(colours):
        raise ValueError(f"{len(names)} classes but {len(colours)} colours")
    triples = tuple((red, green, blue) for red, green, blue in colours)
    return Labels(str(content["dataset"]), names, triples, int(content["channels"]))


def _registered(uri: str, folder: Path) -> tuple[str, Path, str | None]:
    """Download a model of MLflow's registry; return its version, file and the run that made it."""
    if not connection.installed():
        raise ValueError(f"{uri} needs MLflow, which is not installed; name a file instead")
    if not connection.exists():
        raise ValueError(
            f"{uri} needs MLflow's store, but there is none; run in a project that has one, or "
            f"set {connection.URI} to its address"
        )
    store = connection.open_store()
    try:
        version = store.resolve(uri)
        return version, store.download_model(version, folder), store.registered_run(version)
    except connection.StoreError as error:
        hint = "" if error.unavailable else f"; {_nearest_registered(store, uri)}"
        raise ValueError(
            f"{uri} is not in MLflow's registry at {store.uri} ({error.reason}); "
            f"allowed: models:/NAME@ALIAS and models:/NAME/VERSION that `mlflow ui` shows{hint}"
        ) from None


def _nearest_registered(store: "Store", uri: str) -> str:
    """Return a hint for a model that is not in the registry: its nearest name, alias or version."""
    name = re.split("[@/]", uri.removeprefix(REGISTRY))[0]
    names = store.registered_names()
    if name not in names:
        return nearest(name, names)
    model = store.registered_model(name)
    endings = [*(f"@{alias}" for alias in model.aliases()), *(f"/{n}" for n in model.versions())]
    return nearest(uri, [f"{REGISTRY}{name}{ending}" for ending in endings])


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
