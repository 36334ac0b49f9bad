"""Keras' files: `.h5`, `.weights.h5`, `.keras`. Weights only: no layer is built, no code is run.

Layers are found by name, in models inside models too. Read are the layout of Keras 1 and 2, a group
per layer (keras/src/legacy/saving/legacy_h5_format.py), and that of Keras 3, a group `vars` per
layer that says its name (keras/src/saving/saving_lib.py).
"""

import json
import re
import zipfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fcn.pretrained.layer import Layer
from fcn.settings.backbone import Preprocessing

INSIDE = "model.weights.h5"
"""The member of a `.keras` file that holds the weights."""
OPTIMIZER = ("optimizer/", "optimizer_weights/")
APPLICATION = re.compile(r"block(\d)_conv(\d)")
"""keras.applications.vgg16's name of the paper's conv1_1: block1_conv1."""
DENSE = {"fc1": "fc6", "fc2": "fc7"}


def read(path: Path) -> dict[str, Layer]:
    """Return the layers of the file by the paper's names.

    Raises:
        ValueError: it is no such file, or one name stands for two layers.
    """
    try:
        places = _places(path)
    except (OSError, RuntimeError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: no file of Keras ({error})") from None
    layers: dict[str, Layer] = {}
    seen: dict[str, str] = {}
    for (place, theirs), arrays in places.items():
        layer, name = Layer.of(arrays), paper(theirs)
        if layer is None:
            continue
        if name in layers:
            raise ValueError(f"{path}: two layers are {name}: {seen[name]} and {place}")
        layers[name], seen[name] = layer, place
    return layers


def pictures(path: Path) -> Preprocessing | None:
    """Return what a `.keras` file of this project shows its first layer; None if it is another.

    Raises:
        ValueError: it has our layer `normalise`, but in another form.
    """
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))["config"]
    layers = {one.get("name"): one["config"] for one in config.get("layers", [])}
    if "normalise" not in layers:
        return None
    try:
        scale, offset = 1 / layers["normalise"]["scale"], layers["normalise"]["offset"]
        offsets = offset if isinstance(offset, list) else [offset]
        mean = tuple(-float(one) * scale for one in offsets)
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise ValueError(f"{path}: its layer `normalise` is not ours ({error!r})") from None
    return Preprocessing("bgr" if "bgr" in layers else "rgb", mean, scale)


def paper(name: str) -> str:
    """Return the paper's name of a layer of keras.applications.vgg16; other names as they are."""
    if found := APPLICATION.fullmatch(name):
        return "conv{}_{}".format(*found.groups())
    return DENSE.get(name, name)


def _places(path: Path) -> dict[tuple[str, str], list[np.ndarray]]:
    """Return the arrays of each group, by its place in the file and its layer's name."""
    found: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)

    def see(place: str, node: Any) -> None:
        if not isinstance(node, h5py.Dataset) or place.startswith(OPTIMIZER):
            return
        if node.external or node.is_virtual:
            raise ValueError(f"{path}: {place} is kept in another file; refused")
        group = node.parent
        name = group.attrs.get("name", group.name.rpartition("/")[2])
        if node.dtype.kind == "f":
            found[group.name, str(name)].append(node[()].astype(np.float32, copy=False))

    with ExitStack() as stack:
        if zipfile.is_zipfile(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            opened = stack.enter_context(h5py.File(stack.enter_context(archive.open(INSIDE)), "r"))
        else:
            opened = stack.enter_context(h5py.File(path, "r"))
        opened.visititems(see)  # which follows no link out of the file
    return found
