"""A backbone that starts from a file of weights, with every layer accounted for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from fcn.datasets.shared import catalogue
from fcn.download import archives
from fcn.network import transfer
from fcn.pretrained import caffe_file, checkpoint, keras_file, torch_file
from fcn.pretrained.layer import Layer
from fcn.settings.backbone import Backbone, WeightsFile

READERS: dict[str, Callable[[Path], dict[str, Layer]]] = {
    "caffe": caffe_file.read,
    "keras": keras_file.read,
    "model": keras_file.read,
    "savedmodel": checkpoint.read_saved_model,
    "slim": checkpoint.read,
    "torchvision": torch_file.read,
}
"""By `file.format`; each gives the layers by the paper's names."""


def start(
    network: keras.Model, wanted: Backbone, file: WeightsFile, raw: Path, beside: Path
) -> dict[str, list[str]]:
    """Give `network` the weights of a file in `raw`; archives are unpacked beside `beside`.

    Returns the names of the layers that were taken, those the file alone has, and those of the
    network that stay random.

    Raises:
        ValueError: the file is missing or no such file, was trained to see other pictures, or a
            layer is missing or has another shape; nothing is taken then.
    """
    with archives.laid_out(raw, catalogue.archives(wanted.source), beside) as folder:
        path = folder / file.path
        # A checkpoint's path is what its files' names begin with.
        if not path.exists() and not path.with_name(f"{path.name}.index").exists():
            raise ValueError(f"{raw / file.path} is missing; `file.path` names what lies in {raw}")
        shown = str(raw / file.path)
        seen = keras_file.pictures(path) if file.format == "model" else None
        if seen and (problem := seen.problem(wanted.network)):
            raise ValueError(f"with {shown} `network:` has {problem}")
        return fill(network, READERS[file.format](path), file.scratch, shown)


def fill(
    network: keras.Model, theirs: Mapping[str, Layer], scratch: Sequence[str], shown: str
) -> dict[str, list[str]]:
    """Give the layers of `network` those of the same name; `shown` names the source in messages.

    Raises:
        ValueError: as `start`.
    """
    ours = {layer.name: layer for layer in network.layers if layer.weights}
    wanted = [name for name in ours if name not in scratch]
    problems = [f"{name}: `file.scratch` names it, the network has none" for name in scratch]
    problems = [line for line, name in zip(problems, scratch, strict=True) if name not in ours]
    new: dict[str, list[np.ndarray]] = {}
    for name in wanted:
        try:
            new[name] = _fitted(theirs.get(name), ours[name])
        except ValueError as error:
            problems.append(f"{name}: {error}")
    unused = [name for name in theirs if name not in wanted]
    if problems:
        lines = [
            f"{shown} does not fit {network.name}",
            *problems,
            f"fits: {', '.join(new) or 'none'}",
            f"in the file only: {', '.join(unused) or 'none'}",
            "layers that the file has not stay random when `file.scratch` names them; fc6 and fc7 "
            "are left out by `network.fc: false`",
        ]
        raise ValueError("\n  ".join(lines))
    for name, values in new.items():
        ours[name].set_weights(values)
    return {"taken": list(new), "in the file only": unused, "random": list(scratch)}


def _fitted(layer: Layer | None, ours: keras.layers.Layer) -> list[np.ndarray]:
    """Return kernel and bias for the layer `ours`, a convolution."""
    if layer is None:
        raise ValueError("not in the file")
    shape = tuple(ours.kernel.shape)
    kernel = layer.kernel
    if kernel.ndim == 2 and kernel.shape[0] % shape[2] == 0:
        kernel = transfer.window(layer.rows(shape[2]), shape)
    if kernel.shape != shape or layer.bias.shape != shape[-1:]:
        raise ValueError(
            f"{layer.kernel.shape} and {layer.bias.shape} in the file, "
            f"{shape} and {shape[-1:]} in the network"
        )
    if not (np.isfinite(kernel).all() and np.isfinite(layer.bias).all()):
        raise ValueError("holds numbers that are not finite")
    return [kernel, layer.bias]
