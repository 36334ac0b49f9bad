"""A network in other programs' file formats: write it, and open it again as a function.

The function takes images B H W C in 0..255 and returns float32 logits B H W K, as the network does.
"""

import gc
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

Forward = Callable[[np.ndarray], np.ndarray]
"""Images B H W C -> logits B H W K."""
LOGITS = "logits"
AXES = ("batch", "height", "width")
"""Names of the open sizes in a file."""


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


def _write_onnx(model: keras.Model, path: Path) -> None:
    tf, tf2onnx = require_module("tensorflow"), require_module("tf2onnx")
    shape = (None, None, None, model.inputs[0].shape[-1])
    images = tf.TensorSpec(shape, tf.float32, name="images")
    call = tf.function(lambda images: {LOGITS: model(images, training=False)})
    # Not `model.export`: it numbers the axes and names the output `Identity:0`.
    with _frequent_collection():
        written, _ = tf2onnx.convert.from_function(call, input_signature=[images])
    for tensor in (*written.graph.input, *written.graph.output):
        for axis, name in zip(tensor.type.tensor_type.shape.dim, AXES, strict=False):
            axis.dim_param = name
    path.write_bytes(written.SerializeToString())


@contextmanager
def _frequent_collection() -> Iterator[None]:
    """Free cyclic garbage early: tf2onnx copies the graph with its weights in each of 24 passes.

    The copies are cycles of few objects, which Python collects late: FCN-8s on VGG-16 (fc 1,024,
    120 MB of weights) took 12 GB and 38 s, with this 4 GB and 12 s.
    """
    usual = gc.get_threshold()
    gc.freeze()  # existing objects are not visited in each collection
    gc.collect()  # resets the counters
    gc.set_threshold(usual[0], 1, 1)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def _open_onnx(path: Path) -> Forward:
    session = require_module("onnxruntime").InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    return lambda images: session.run([LOGITS], {"images": as_float(images)})[0]


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
        _write_onnx,
        _open_onnx,
        "any batch, height and width at each call",
    ),
    "litert": Format(
        "LiteRT (TensorFlow Lite)",
        "model.tflite",
        _write_litert,
        _open_litert,
        "any, after `resize_tensor_input` and `allocate_tensors`: one size at a time",
    ),
}


def as_float(images: np.ndarray) -> np.ndarray:
    """Return images as the networks take them, float32."""
    return np.asarray(images, np.float32)


def require_module(module: str) -> Any:
    """Import a module that is optional in an installation.

    Raises:
        ValueError: it is not installed.
    """
    try:
        imported: ModuleType = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{error.name} is not installed; `make setup` installs it, or elsewhere "
            "`pip install ai-edge-litert onnx onnxruntime tensorflow-cpu tf2onnx`"
        ) from None
    return imported
