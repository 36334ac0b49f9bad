"""Sides of bench.predict that run our FCN-8s: Keras, our engines, ONNX Runtime."""

from typing import Any

from bench.alternate import Work
from bench.predict_side import CLASSES, FC, kernel
from bench.predict_side import work as answered
from bench.step_keras import VGG
from fcn.network import backend
from fcn.settings import reader

ENGINES = {("tensorflow", "bfloat16"): "tensorflow-bfloat16"}
"""By side and precision, where the engine's name is not the side's."""


def network(precision: str = "float32") -> Any:
    """Return FCN-8s on VGG-16, a Keras model on TensorFlow, with the weights of all sides."""
    common = reader.load("digits").common
    backend.use(common.model_copy(update={"backend": "tensorflow", "precision": precision}))
    from fcn.backbones import vgg16
    from fcn.network import build

    vgg16.FC = FC
    model = build.network("fcn8s", "vgg16", VGG, 3, CLASSES)
    for layer in model.layers:
        if layer.name.startswith(("conv", "fc", "score")):
            weights, bias = layer.get_weights()
            layer.set_weights([kernel(layer.name, weights.shape), bias])
    return model


def work(name: str, shape: list[int], precision: str, whole: bool) -> Work:
    """Return one answer of the engine `name`."""
    half = name == "keras" and precision == "bfloat16"
    model = network("mixed_bfloat16" if half else "float32")
    from fcn.serving import engines

    engine = engines.of(ENGINES.get((name, precision), name), model)
    return answered(engine, shape, whole, compared=True)
