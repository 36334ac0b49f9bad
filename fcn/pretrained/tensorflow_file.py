"""TensorFlow's checkpoints: TF-Slim's VGG-16, and the variables of Udacity's SavedModel.

TensorFlow's own reader reads both formats (V1 is one file, V2 an index and shards); no graph is
loaded. A layer's kernel is `LAYER/weights` or `LAYER/filter`, its bias `LAYER/biases`.
"""

from pathlib import Path

import numpy as np

from fcn.pretrained.layer_weights import LayerWeights

KERNELS, BIASES = ("weights", "filter"), ("biases",)


def read(prefix: Path) -> dict[str, LayerWeights]:
    """Return the layers of a checkpoint `prefix` or `prefix.index` by the last part of their names.

    Raises:
        ValueError: it is missing or damaged, or TensorFlow is not installed.
    """
    try:
        import tensorflow as tf
    except ImportError:
        raise ValueError(
            f"reading {prefix} requires TensorFlow; run `make setup EXTRA=cpu`"
        ) from None
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes = reader.get_variable_to_shape_map()
        parts: dict[str, list[np.ndarray]] = {}
        for variable in sorted(shapes):
            layer, _, leaf = variable.rpartition("/")
            if leaf in KERNELS + BIASES:
                parts.setdefault(layer, []).append(reader.get_tensor(variable))
    except (tf.errors.OpError, ValueError, OSError) as error:
        raise ValueError(f"{prefix}: not a checkpoint of TensorFlow ({error})") from None
    layers = {
        layer.rpartition("/")[2]: LayerWeights.from_arrays(arrays)
        for layer, arrays in parts.items()
    }
    return {name: weights for name, weights in layers.items() if weights}


def read_saved_model(folder: Path) -> dict[str, LayerWeights]:
    """Return the layers of the SavedModel `folder` by the last part of their names.

    Raises:
        ValueError: as `read`.
    """
    return read(folder / "variables" / "variables")
