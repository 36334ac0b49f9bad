"""A network in other programs' file formats: write it, and open it again as a function.

The function takes images B H W C in 0..255 and returns float32 logits B H W K, as the network does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from fcn.records.labels import Labels
from fcn.serving import onnx_file
from fcn.serving.function import Forward, as_float, require_module

Describe = Callable[[Path, Labels, float, Mapping[str, str]], None]
"""Adds to a written file its classes, the network's `resize` and where the model comes from."""


@dataclass(frozen=True)
class Format:
    """One file format."""

    title: str
    file: str
    """Its name in an export: a file, or without an ending a folder."""
    write: Callable[[keras.Model, Path], None]
    open: Callable[[Path], Forward]
    sizes: str
    """Which sizes of pictures it takes."""
    describe: Describe | None = None
    """None: the format has no place for it."""


def in_float32(model: keras.Model) -> keras.Model:
    """Return the network with the same weights, computing in float32 throughout."""
    return in_precision(model, lambda layer: "float32")


def in_precision(model: keras.Model, policy: Callable[[keras.Layer], str]) -> keras.Model:
    """Return the network with the same weights and, for each layer, the precision of `policy`."""

    def clone(layer: keras.Layer) -> keras.Layer:
        return type(layer).from_config(layer.get_config() | {"dtype": policy(layer)})

    cloned = keras.models.clone_model(model, clone_function=clone)
    cloned.set_weights(model.get_weights())
    return cloned


def _write_saved_model(model: keras.Model, path: Path) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


def _open_saved_model(path: Path) -> Forward:
    tf = require_module("tensorflow")
    # Without this reference the functions lose their variables.
    loaded = tf.saved_model.load(str(path))
    return lambda images: loaded.serve(as_float(images)).numpy()


def _write_litert(model: keras.Model, path: Path) -> None:
    model.export(path, format="litert", verbose=False)


def _open_litert(path: Path) -> Forward:
    interpreter = require_module("ai_edge_litert.interpreter").Interpreter(str(path))
    images_index = interpreter.get_input_details()[0]["index"]
    logits_index = interpreter.get_output_details()[0]["index"]

    def run(images: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(images_index, images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(images_index, as_float(images))
        interpreter.invoke()
        return interpreter.get_tensor(logits_index)

    return run


FORMATS = {
    "saved_model": Format(
        "TensorFlow SavedModel",
        "saved_model",
        _write_saved_model,
        _open_saved_model,
        "any batch, height and width at each call",
    ),
    "onnx": Format(
        "ONNX",
        "model.onnx",
        onnx_file.write,
        onnx_file.run,
        "any batch, height and width at each call",
        onnx_file.describe,
    ),
    "litert": Format(
        "LiteRT (TensorFlow Lite)",
        "model.tflite",
        _write_litert,
        _open_litert,
        "any, after `resize_tensor_input` and `allocate_tensors`: one size at a time",
    ),
}
