"""Load a file of weights into a backbone, and account for every layer."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from fcn.datasets.shared import catalogue
from fcn.download import archives
from fcn.network import batch_norm
from fcn.pretrained import caffe_file, keras_file, lite_file, tensorflow_file, torch_file
from fcn.pretrained.layer_weights import LayerWeights
from fcn.settings.backbone import Backbone, WeightsFile
from fcn.training import transfer

READERS: dict[str, Callable[[Path], dict[str, LayerWeights]]] = {
    "caffe": caffe_file.read,
    "efficientnet_lite0": lite_file.read,
    "keras": keras_file.read,
    "model": keras_file.read,
    "savedmodel": tensorflow_file.read_saved_model,
    "slim": tensorflow_file.read,
    "torchvision": torch_file.read,
}
"""By `file.format`; each returns the layers by the paper's names."""


def load_weights(
    backbone: keras.Model, settings: Backbone, file: WeightsFile, raw: Path, beside: Path
) -> dict[str, list[str]]:
    """Load a file in `raw` into the backbone; archives are unpacked beside the path `beside`.

    Returns:
        Names of the layers that were taken, of those in the file only, and of those of the backbone
        that stay random.

    Raises:
        ValueError: the file is missing or has another format, was trained with other preprocessing,
            or a layer is missing or has another shape; the backbone is unchanged then.
    """
    with archives.laid_out(raw, catalogue.archives(settings.source), beside) as folder:
        path = folder / file.path
        # A checkpoint's path is the common beginning of its files' names.
        if not path.exists() and not path.with_name(f"{path.name}.index").exists():
            raise ValueError(f"{raw / file.path} is missing; `file.path` names a file in {raw}")
        source = str(raw / file.path)
        preprocessing = keras_file.read_preprocessing(path) if file.format == "model" else None
        if preprocessing and (problem := preprocessing.problem(settings.network)):
            raise ValueError(f"`network:` does not fit {source}: {problem}")
        return assign_weights(backbone, READERS[file.format](path), file.scratch, source)


def assign_weights(
    backbone: keras.Model,
    file_layers: Mapping[str, LayerWeights],
    scratch: Sequence[str],
    source: str,
) -> dict[str, list[str]]:
    """Assign a file's weights to the layers of the same name; `source` names it in messages.

    Raises:
        ValueError: as `load_weights`.
    """
    layers = {layer.name: layer for layer in backbone.layers if layer.weights}
    names = [name for name in layers if name not in scratch]
    problems = [
        f"{name}: `file.scratch` names it, the network has none"
        for name in scratch
        if name not in layers
    ]
    weights: dict[str, list[np.ndarray]] = {}
    for name in names:
        try:
            weights[name] = _fit(
                file_layers.get(name.removesuffix(batch_norm.SUFFIX)), layers[name]
            )
        except ValueError as error:
            problems.append(f"{name}: {error}")
    unused = [name for name in file_layers if name not in names]
    if problems:
        lines = [
            f"{source} does not fit {backbone.name}",
            *problems,
            f"fits: {', '.join(weights) or 'none'}",
            f"in the file only: {', '.join(unused) or 'none'}",
            "list layers that the file lacks under `file.scratch` to keep them random; "
            "`network.fc: false` leaves out fc6 and fc7",
        ]
        raise ValueError("\n  ".join(lines))
    for name, values in weights.items():
        layers[name].set_weights(values)
    return {"taken": list(weights), "in the file only": unused, "random": list(scratch)}


def _fit(weights: LayerWeights | None, layer: keras.layers.Layer) -> list[np.ndarray]:
    """Return the arrays of a convolution or a batch normalisation in the layer's shapes."""
    shapes = [tuple(weight.shape) for weight in layer.weights]
    if weights is None:
        raise ValueError("not in the file")
    if isinstance(layer, keras.layers.BatchNormalization):
        in_file = weights.norm.arrays() if weights.norm else []
    elif layer.use_bias:
        folded = weights.folded()
        in_file = [folded.kernel, folded.bias]
    else:
        in_file = [weights.kernel]
    arrays = in_file
    if arrays and arrays[0].ndim == 2 and arrays[0].shape[0] % shapes[0][2] == 0:
        kernel = transfer.window(weights.dense_kernel(shapes[0][2]), shapes[0])
        arrays = [kernel, *in_file[1:]]
    if [array.shape for array in arrays] != shapes:
        of_file = " and ".join(str(array.shape) for array in in_file) or "no array"
        raise ValueError(f"{of_file} in the file, {' and '.join(map(str, shapes))} in the network")
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("has values that are not finite")
    return arrays
