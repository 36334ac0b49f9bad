"""Keras' files: `.h5`, `.weights.h5`, `.keras`. Weights only: no layer is built, no code is run.

Layers are found by name, also in nested models. Two layouts are read: that of Keras 1 and 2, a
group per layer (keras/src/legacy/saving/legacy_h5_format.py), and that of Keras 3, a group `vars`
per layer with the name as its attribute (keras/src/saving/saving_lib.py).
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

from fcn.pretrained.layer_weights import LayerWeights
from fcn.settings.backbone import Preprocessing

WEIGHTS = "model.weights.h5"
"""The member of a `.keras` file that holds the weights."""
OPTIMIZER = ("optimizer/", "optimizer_weights/")
APPLICATION = re.compile(r"block(\d)_conv(\d)")
"""keras.applications.vgg16's name of the paper's conv1_1: block1_conv1."""
DENSE = {"fc1": "fc6", "fc2": "fc7"}


def read(path: Path) -> dict[str, LayerWeights]:
    """Return the layers of the file by the paper's names.

    Raises:
        ValueError: the file is not one of Keras, or two of its layers have one name.
    """
    try:
        groups = _read_groups(path)
    except (OSError, RuntimeError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not a file of Keras ({error})") from None
    layers: dict[str, LayerWeights] = {}
    group_of: dict[str, str] = {}
    for (group, layer), arrays in groups.items():
        weights, name = LayerWeights.from_arrays(arrays), paper_name(layer)
        if weights is None:
            continue
        if name in layers:
            raise ValueError(f"{path}: two layers are {name}: {group_of[name]} and {group}")
        layers[name], group_of[name] = weights, group
    return layers


def read_preprocessing(path: Path) -> Preprocessing | None:
    """Return the preprocessing in a `.keras` file of this project; None for any other file.

    Raises:
        ValueError: the file has a layer `normalise` that this project did not write.
    """
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))["config"]
    layers = {layer.get("name"): layer["config"] for layer in config.get("layers", [])}
    if "normalise" not in layers:
        return None
    try:
        std, offset = 1 / layers["normalise"]["scale"], layers["normalise"]["offset"]
        offsets = offset if isinstance(offset, list) else [offset]
        mean = tuple(-float(value) * std for value in offsets)
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise ValueError(
            f"{path}: its layer `normalise` was not written by this project ({error!r})"
        ) from None
    return Preprocessing("bgr" if "bgr" in layers else "rgb", mean, std)


def paper_name(name: str) -> str:
    """Return the paper's name of a layer of keras.applications.vgg16; other names unchanged."""
    if match := APPLICATION.fullmatch(name):
        return "conv{}_{}".format(*match.groups())
    return DENSE.get(name, name)


def _read_groups(path: Path) -> dict[tuple[str, str], list[np.ndarray]]:
    """Return the arrays of each group, by its path in the file and its layer's name."""
    groups: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)

    def visit(name_in_file: str, node: Any) -> None:
        if not isinstance(node, h5py.Dataset) or name_in_file.startswith(OPTIMIZER):
            return
        if node.external or node.is_virtual:
            raise ValueError(f"{path}: {name_in_file} is stored in another file, which is not read")
        group = node.parent
        name = group.attrs.get("name", group.name.rpartition("/")[2])
        if node.dtype.kind == "f":
            groups[group.name, str(name)].append(node[()].astype(np.float32, copy=False))

    with ExitStack() as stack:
        if zipfile.is_zipfile(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            file = stack.enter_context(h5py.File(stack.enter_context(archive.open(WEIGHTS)), "r"))
        else:
            file = stack.enter_context(h5py.File(path, "r"))
        file.visititems(visit)  # follows no link to another file
    return groups
