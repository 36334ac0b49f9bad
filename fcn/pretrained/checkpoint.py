"""TensorFlow's checkpoints: TF-Slim's VGG-16, and the variables of Udacity's SavedModel.

TensorFlow's own reader reads them, both its formats (V1 is one file, V2 an index and shards); no
graph is loaded. A layer's kernel is `LAYER/weights` or `LAYER/filter`, its bias `LAYER/biases`.
"""

from pathlib import Path

import numpy as np

from fcn.pretrained.layer import Layer

KERNELS, BIASES = ("weights", "filter"), ("biases",)


def read(prefix: Path) -> dict[str, Layer]:
    """Return the layers of a checkpoint `prefix` or `prefix.index` by the last part of their names.

    Raises:
        ValueError: there is none, it is damaged, or TensorFlow is not installed.
    """
    try:
        import tensorflow as tf
    except ImportError:
        raise ValueError(f"{prefix} takes TensorFlow to read; `make setup EXTRA=cpu`") from None
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes = reader.get_variable_to_shape_map()
        parts: dict[str, list[np.ndarray]] = {}
        for variable in sorted(shapes):
            layer, _, leaf = variable.rpartition("/")
            if leaf in KERNELS + BIASES:
                parts.setdefault(layer, []).append(reader.get_tensor(variable))
    except (tf.errors.OpError, ValueError, OSError) as error:
        raise ValueError(f"{prefix}: no checkpoint of TensorFlow ({error})") from None
    found = {layer.rpartition("/")[2]: Layer.of(arrays) for layer, arrays in parts.items()}
    return {name: layer for name, layer in found.items() if layer}


def read_saved_model(folder: Path) -> dict[str, Layer]:
    """Return the layers of the SavedModel `folder` by the last part of their names.

    Raises:
        ValueError: as `read`.
    """
    return read(folder / "variables" / "variables")
