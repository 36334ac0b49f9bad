"""Networks built from settings, and models as files that open anywhere.

A model takes images B H W C in 0..255 of any H and W and returns logits B H W K of the same size.
"""

import fnmatch
import importlib
import json
import pkgutil
import textwrap
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import keras

from fcn.common import files
from fcn.common.text import nearest
from fcn.network.decoder import SCORES, Decoder, Features
from fcn.network.layers import AreaResize, ResizeLike
from fcn.settings.network import Network, Start

EPOCH = "2000-01-01@00:00:00"
"""The date inside every saved model: two saves of the same weights are the same bytes."""
ZIP_EPOCH = (2000, 1, 1, 0, 0, 0)
LABELS = "labels.json"
"""The member of a model's file that names its classes; `fcn.prediction.trained` reads it."""


def module(package: Literal["backbones", "heads"], name: str) -> ModuleType:
    """Return the file `fcn/<package>/<name>.py`, found by its name.

    Raises:
        ValueError: there is none of this name.
    """
    folder = importlib.import_module(f"fcn.{package}")
    known = [module.name for module in pkgutil.iter_modules(folder.__path__)]
    if name not in known:
        raise ValueError(f"no file {name!r} in fcn/{package}/; {nearest(name, known)}")
    return importlib.import_module(f"fcn.{package}.{name}")


def backbone(name: str, network: Network, channels: int) -> keras.Model:
    """Return the fully convolutional backbone: images B H W C -> its last map, at full size."""
    images = keras.Input((None, None, channels), name="images")
    features = module("backbones", name).features(images, network)
    return keras.Model(images, features["last"], name=name)


def network(
    head: str,
    backbone_name: str,
    shape: Network,
    channels: int,
    classes: int,
    upsampling: Start | Mapping[str, Start] | None = None,
    freeze: Iterable[str] = (),
) -> keras.Model:
    """Return a segmentation network: images B H W C -> logits B H W K.

    Raises:
        ValueError: the head does not fit the backbone, or `upsampling` or `freeze` name no layer.
    """
    images = keras.Input((None, None, channels), name="images")
    seen = (
        images
        if shape.resize == 1
        else AreaResize(shape.resize, dtype=SCORES, name="resize")(images)
    )
    features = Features(module("backbones", backbone_name).features(seen, shape))
    make = Decoder(classes, shape.padding, upsampling)
    logits = module("heads", head).logits(seen, features, make)
    if seen is not images:
        logits = ResizeLike(dtype=SCORES, name="resize_logits")([logits, images])
    model = keras.Model(images, logits, name=head)
    if isinstance(upsampling, Mapping):
        known = [x.name for x in model.layers if isinstance(x, keras.layers.Conv2DTranspose)]
        for name in upsampling.keys() - known:
            raise ValueError(f"upsampling: no layer {name!r} upsamples; {nearest(name, known)}")
    _freeze(model, freeze)
    return model


def resize_factor(model: keras.Model) -> float:
    """Return the factor by which a network resizes its images, also where it is part of another."""
    for layer in model.layers:
        if isinstance(layer, AreaResize):
            return layer.factor
        if isinstance(layer, keras.Model) and (factor := resize_factor(layer)) != 1:
            return factor
    return 1.0


def stride(head: str, shape: Network) -> int:
    """Return how many pixels of the input lie between two scores of the head."""
    return max(1, round(module("heads", head).STRIDE / shape.resize))


def _freeze(model: keras.Model, patterns: Iterable[str]) -> None:
    """Keep the layers as they are whose names match, as `conv1_1` or `conv1*`."""
    learned = {layer.name: layer for layer in model.layers if layer.weights}
    for pattern in patterns:
        names = fnmatch.filter(learned, pattern)
        if not names:
            raise ValueError(f"freeze: no layer {pattern!r} learns; {nearest(pattern, learned)}")
        for name in names:
            learned[name].trainable = False
    if not model.trainable_weights:
        raise ValueError(f"freeze: {', '.join(patterns)} leaves nothing to learn")


def save(model: keras.Model, path: Path, labels: Mapping[str, Any] | None = None) -> None:
    """Write the weights and the graph of `model` as a `.keras` file, the same bytes each time.

    Neither the optimizer nor the loss is in it: the file is for using the model. `labels`, the
    fields of `fcn.records.record.Labels`, say what its classes are; Keras does not mind them in the file.
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
