"""A network as an ONNX file: ONNX Runtime alone opens it, without Keras.

Input `images`, float32 B H W C in 0..255; output `logits`, float32 B H W K of the same height and
width; all sizes but C and K are open. `fcn export` adds metadata: the names of the classes, the
factor by which the network scales pictures, and the model that was exported.
"""

import gc
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcn.records.labels import LABELS, Labels
from fcn.serving.function import Engine, Forward, as_float, require_module

if TYPE_CHECKING:
    import keras

SUFFIX = ".onnx"
ENGINE = "onnx"
"""The engine that runs these files."""
IMAGES, LOGITS = "images", "logits"
AXES = ("batch", "height", "width")
"""Names of the open sizes in a file."""
RESIZE = "resize"
"""The metadata's name for the scale of `Engine`."""
SOURCE = "Exported from"
"""The metadata's name for the exported model; results repeat it."""
SILENT = 3
"""ONNX Runtime's log level for errors alone."""


def write(model: "keras.Model", path: Path) -> None:
    """Write a network on TensorFlow; `describe` adds the metadata."""
    tf, tf2onnx = require_module("tensorflow"), require_module("tf2onnx")
    shape = (None, None, None, model.inputs[0].shape[-1])
    images = tf.TensorSpec(shape, tf.float32, name=IMAGES)
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


def describe(path: Path, labels: Labels, scale: float, facts: Mapping[str, str]) -> None:
    """Add metadata to a written file.

    Args:
        path: the file.
        labels: the classes, with their colours.
        scale: the network's `resize`.
        facts: where the model comes from, by their titles.
    """
    onnx = require_module("onnx")
    model = onnx.load_model(path)
    named = {LABELS: json.dumps(asdict(labels), sort_keys=True), RESIZE: repr(scale)}
    onnx.helper.set_model_props(model, {**named, **facts})
    path.write_bytes(model.SerializeToString())


def read_metadata(path: Path) -> Mapping[str, str]:
    """Return what a file says about its network.

    Raises:
        ValueError: ONNX Runtime is not installed, or cannot open the file.
    """
    metadata: Mapping[str, str] = _opened(path, optimised=False).get_modelmeta().custom_metadata_map
    return metadata


def run(path: Path) -> Forward:
    """Open a file as a function.

    Raises:
        ValueError: as `read_metadata`.
    """
    return _forward(_opened(path))


def load(path: Path) -> Engine:
    """Open a file as an engine.

    Raises:
        ValueError: as `read_metadata`; or the file's input or output is another than `fcn export`
            writes.
    """
    session = _opened(path)
    images, logits = session.get_inputs(), session.get_outputs()
    tensors = {tensor.name: tensor.shape for tensor in (*images, *logits)}
    shapes = tensors.get(IMAGES, ()), tensors.get(LOGITS, ())
    channels, classes = (shape[-1] if len(shape) == 4 else None for shape in shapes)
    fixed = any(isinstance(side, int) for shape in shapes for side in shape[:-1])
    if len(tensors) != 2 or channels not in (1, 3) or not isinstance(classes, int) or fixed:
        raise ValueError(
            f"{path} is no file of `fcn export`: its inputs and outputs are {tensors}; allowed: "
            f"{IMAGES} B H W 1 or B H W 3 and {LOGITS} B H W K, with B, H and W open"
        )
    scale = float(session.get_modelmeta().custom_metadata_map.get(RESIZE, 1))
    return Engine(ENGINE, channels, classes, _forward(session), scale)


def _forward(session: Any) -> Forward:
    return lambda images: session.run([LOGITS], {IMAGES: as_float(images)})[0]


def _opened(path: Path, optimised: bool = True) -> Any:
    runtime = require_module("onnxruntime", ("onnxruntime",))
    options = runtime.SessionOptions()
    options.log_severity_level = SILENT
    if not optimised:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # Its errors have no base class in common.
        raise ValueError(f"{path} is no ONNX file, or damaged ({error})") from None
