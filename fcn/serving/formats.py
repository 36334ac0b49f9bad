"""A network in other programs' file formats: written, and opened again as a function.

Opened, each takes images B H W C in 0..255 and returns float32 logits B H W K, as the network does.
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
"""What a file calls the sizes that it leaves open."""


@dataclass(frozen=True)
class Format:
    """One file format."""

    title: str
    file: str
    """Its name inside an export: a file, or a folder where it has no ending."""
    write: Callable[[keras.Model, Path], None]
    open: Callable[[Path], Forward]
    sizes: str
    """How it takes pictures of other sizes than the last."""


def precise(model: keras.Model) -> keras.Model:
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
    tf = needed("tensorflow")
    loaded = tf.saved_model.load(str(path))  # or its functions lose their variables
    return lambda images: loaded.serve(as_float(images)).numpy()


def _write_onnx(model: keras.Model, path: Path) -> None:
    tf, tf2onnx = needed("tensorflow"), needed("tf2onnx")
    shape = (None, None, None, model.inputs[0].shape[-1])
    images = tf.TensorSpec(shape, tf.float32, name="images")
    call = tf.function(lambda images: {LOGITS: model(images, training=False)})
    # Not `model.export`: it numbers the axes and calls the output `Identity:0`.
    with _collecting():
        written, _ = tf2onnx.convert.from_function(call, input_signature=[images])
    for tensor in (*written.graph.input, *written.graph.output):
        for axis, name in zip(tensor.type.tensor_type.shape.dim, AXES, strict=False):
            axis.dim_param = name
    path.write_bytes(written.SerializeToString())


@contextmanager
def _collecting() -> Iterator[None]:
    """Free cyclic garbage soon: tf2onnx copies the graph at each of its 24 passes, weights and all.

    The copies are cycles of few objects, for which Python sees no hurry: FCN-8s on VGG-16 (fc
    1,024, 120 MB of weights) took 12 GB and 38 s, with this 4 GB and 12 s.
    """
    usual = gc.get_threshold()
    gc.freeze()  # what is there already is not looked through each time
    gc.collect()  # and not counted either
    gc.set_threshold(usual[0], 1, 1)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def _open_onnx(path: Path) -> Forward:
    session = needed("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run([LOGITS], {"images": as_float(images)})[0]


def _write_litert(model: keras.Model, path: Path) -> None:
    model.export(path, format="litert", verbose=False)


def _open_litert(path: Path) -> Forward:
    interpreter = needed("ai_edge_litert.interpreter").Interpreter(str(path))
    place = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]

    def run(images: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(place, images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(place, as_float(images))
        interpreter.invoke()
        return interpreter.get_tensor(result)

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


def needed(module: str) -> Any:
    """Import a module that not every installation has.

    Raises:
        ValueError: it is not installed.
    """
    found: ModuleType
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{error.name} is not installed; `make setup` installs it, and elsewhere "
            "`pip install ai-edge-litert onnx onnxruntime tensorflow-cpu tf2onnx` does"
        ) from None
    return found
