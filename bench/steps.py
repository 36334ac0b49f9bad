"""Whole training steps of the default table on random images, for bench.bits."""

import statistics
import sys
import time
from typing import Any

import keras
import numpy as np

from bench.operations import numbers
from fcn.network import build
from fcn.pretrained import classifier
from fcn.settings import reader
from fcn.training import guard, losses, optimizers

MODELS = ("classifier", "fcn32s", "fcn16s", "fcn8s")


def train(name: str, steps: int) -> dict[str, Any]:
    """Return the weights after `steps` steps, one array; write a step's median times to stderr."""
    table = reader.load("digits").table
    backbone = table.backbones["digits-vgg16"]
    keras.utils.set_random_seed(1)
    if name == "classifier":
        recipe, classes = backbone.classifier, 10
        assert recipe is not None
        shape, labels_shape = (32, recipe.side, recipe.side, 1), (32,)
        model = classifier.build(backbone, recipe, 1, classes)
        loss: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        training = recipe.training
    else:
        classes = 11
        shape, labels_shape = (16, 64, 84, 1), (16, 64, 84)
        model = build.network(name, "vgg16", backbone.network, 1, classes)
        loss = losses.pixel_cross_entropy
        training = table.models[f"digits-{name}"].training
    _initialise(model)
    optimizer = optimizers.Adam(1e-3)
    model.compile(optimizer, loss, jit_compile=keras.backend.backend() == "jax")
    optimizer.build(model.trainable_variables)
    rng, wall, cpu = np.random.default_rng(2), [], []
    for _ in range(steps):
        images = rng.integers(256, size=shape, dtype=np.uint8)
        labels = rng.integers(classes, size=labels_shape, dtype=np.uint8)
        began, began_cpu = time.perf_counter(), time.process_time()
        guard.step(model, images, labels, training, lambda: "the bench")
        wall.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (time.process_time() - began_cpu))
    medians = f"{statistics.median(wall):.1f} ms per step, CPU time {statistics.median(cpu):.1f} ms"
    print(f"# {name}: {medians}", file=sys.stderr)
    weights = [keras.ops.convert_to_numpy(each).ravel() for each in model.trainable_variables]
    return {"weights": np.concatenate(weights)}


def _initialise(model: keras.Model) -> None:
    """Give the kernels weights of He's size that no library rounded."""
    for seed, weight in enumerate(model.trainable_variables):
        if len(weight.shape) > 1:
            scale = 2.0 ** -round(np.log2(np.prod(weight.shape[:-1])) / 2)
            weight.assign(numbers(weight.shape, seed) * np.float32(scale))
