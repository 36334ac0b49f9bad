"""A trained network as a function, run by one of several engines.

    keras                 Keras' own `predict_on_batch`, on either backend; the reference for all
                          others
    tensorflow            its graph; for small batches with the weights as constants, whose memory
                          layout TensorFlow prepares once
    tensorflow-bfloat16   the same in bfloat16, except the scores of the classes
    onnx                  ONNX Runtime; needs the extra `export`

docs/log.md has their times, docs/video-and-export.md says which to choose.
"""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from fcn.common.text import nearest
from fcn.network import build, model_file
from fcn.network.layers import AreaResize
from fcn.serving import formats
from fcn.serving.function import Engine, Forward, as_float

FASTEST = {"tensorflow": "tensorflow", "jax": "keras"}
"""By backend, the fastest engine that returns what Keras returns."""
LARGE_BATCH = 3 * 2**18
"""Pixels of a batch above which constant weights save no time: preparing their layout in each call
then takes a fiftieth of the call."""
HEAVY_WEIGHTS = 2**28
"""Bytes above which weights stay variables. While TensorFlow prepares constants, it holds up to
seventeen copies: 3.9 GiB for the 158 MiB of VGG-16 with fc6 and fc7 of 1,024."""


def load(name: str, path: Path) -> Engine:
    """Open a saved model and run it with the engine `name`.

    Raises:
        ValueError: there is no such engine, the model cannot be opened, or a package that the
            engine needs is not installed.
    """
    if name not in ENGINES:
        raise ValueError(f"no engine {name!r}; {nearest(name, ENGINES)}")
    return of(name, model_file.load(path))


def of(name: str, model: keras.Model) -> Engine:
    """Run a network with the engine `name`.

    Raises:
        ValueError: a package that the engine needs is not installed, or the engine does not run on
            Keras' backend.
    """
    if name != "keras" and keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"engine {name!r} needs the backend tensorflow, but Keras runs on "
            f"{keras.backend.backend()}; use the engine keras"
        )
    channels, classes = model.inputs[0].shape[-1], model.outputs[0].shape[-1]
    return Engine(name, channels, classes, ENGINES[name](model), build.resize_factor(model))


def _keras(model: keras.Model) -> Forward:
    return lambda images: np.asarray(model.predict_on_batch(images), np.float32)


def _tensorflow(model: keras.Model) -> Forward:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2 as with_constants,
    )

    images = tf.TensorSpec((None, None, None, model.inputs[0].shape[-1]), tf.float32)

    @functools.partial(tf.function, input_signature=[images])
    def variable(images: tf.Tensor) -> tf.Tensor:
        return tf.cast(model(images, training=False), tf.float32)

    @functools.cache
    def constant() -> Callable[[tf.Tensor], list[tf.Tensor]]:
        graph: Callable[[tf.Tensor], list[tf.Tensor]] = with_constants(
            variable.get_concrete_function()
        )
        return graph

    light = 4 * model.count_params() <= HEAVY_WEIGHTS

    def forward(images: np.ndarray) -> np.ndarray:
        batch = tf.constant(as_float(images))
        if light and images[..., 0].size <= LARGE_BATCH:
            return np.asarray(constant()(batch)[0])
        return np.asarray(variable(batch))

    return forward


def _bfloat16(model: keras.Model) -> Forward:
    return _tensorflow(formats.in_precision(model, bfloat16_policy(model.outputs[0].shape[-1])))


def bfloat16_policy(classes: int) -> Callable[[keras.Layer], str]:
    """Return each layer's precision: bfloat16, but float32 for score layers and image resizing.

    In bfloat16, with its 8 binary digits, scores of classes would tie; `fcn.network.layers` trains
    them in float32 too. bfloat16 has no odd numbers above 256, so resized pixels stay float32.
    """

    def precision(layer: keras.Layer) -> str:
        exact = isinstance(layer, AreaResize) or layer.output.shape[-1] == classes
        return "float32" if exact else "mixed_bfloat16"

    return precision


def _onnx(model: keras.Model) -> Forward:
    onnx = formats.FORMATS["onnx"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / onnx.file
        onnx.write(formats.in_float32(model), path)
        return onnx.open(path)


ENGINES: dict[str, Callable[[keras.Model], Forward]] = {
    "keras": _keras,
    "tensorflow": _tensorflow,
    "tensorflow-bfloat16": _bfloat16,
    "onnx": _onnx,
}
