"""Networks built from settings, and models as files that open anywhere.

A model takes images B H W C in 0..255 of any H and W and returns logits B H W K of the same size.
"""

import importlib
import json
import pkgutil
import textwrap
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import keras

import fcn.backbones
import fcn.heads
from fcn import files, layers, losses  # noqa: F401  registered by their import
from fcn.schema.table import Network
from fcn.text import nearest

EPOCH = "2000-01-01@00:00:00"
"""The date inside every saved model: two saves of the same weights are the same bytes."""
ZIP_EPOCH = (2000, 1, 1, 0, 0, 0)
LABELS = "labels.json"
"""The member of a model's file that names its classes; `fcn.trained` reads it."""


def module(package: ModuleType, name: str) -> ModuleType:
    """Return the module `name` of `fcn.backbones` or `fcn.heads`.

    Raises:
        ValueError: there is none of this name.
    """
    known = [found.name for found in pkgutil.iter_modules(package.__path__)]
    if name not in known:
        raise ValueError(f"no module {name!r} in {package.__name__}; {nearest(name, known)}")
    return importlib.import_module(f"{package.__name__}.{name}")


def backbone(name: str, network: Network, channels: int) -> keras.Model:
    """Return the fully convolutional backbone: images B H W C -> fc7."""
    images = keras.Input((None, None, channels), name="images")
    taps = module(fcn.backbones, name).taps(images, network)
    return keras.Model(images, taps["fc7"], name=name)


def network(
    head: str, backbone_name: str, shape: Network, channels: int, classes: int
) -> keras.Model:
    """Return a segmentation network: images B H W C -> logits B H W K."""
    images = keras.Input((None, None, channels), name="images")
    taps = module(fcn.backbones, backbone_name).taps(images, shape)
    logits = module(fcn.heads, head).logits(images, taps, classes)
    return keras.Model(images, logits, name=head)


def save(model: keras.Model, path: Path, labels: Mapping[str, Any] | None = None) -> None:
    """Write the weights and the graph of `model` as a `.keras` file, the same bytes each time.

    Neither the optimizer nor the loss is in it: the file is for using the model. `labels`, the
    fields of `fcn.records.Labels`, say what its classes are; Keras does not mind them in the file.
    """
    bare = keras.Model.from_config(model.get_config())
    bare.set_weights(model.get_weights())
    with files.writing(path) as aside:
        bare.save(aside)
        with zipfile.ZipFile(aside) as archive:
            members = {name: archive.read(name) for name in sorted(archive.namelist())}
        metadata = json.loads(members["metadata.json"]) | {"date_saved": EPOCH}
        members["metadata.json"] = json.dumps(metadata, sort_keys=True).encode()
        if labels is not None:
            members[LABELS] = json.dumps(labels, sort_keys=True).encode()
        with zipfile.ZipFile(aside, "w") as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), content)


def load(path: Path) -> keras.Model:
    """Open a saved model.

    Raises:
        ValueError: the file is missing, damaged, or no model of this project.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing; `dvc repro` makes it")
    try:
        return keras.models.load_model(path, compile=False)
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, OSError) as error:
        reason = textwrap.shorten(str(error), 200)
        raise ValueError(
            f"{path} cannot be opened as a model ({reason}); delete it and run `dvc repro`"
        ) from error
