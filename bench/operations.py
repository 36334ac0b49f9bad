"""The operations of a training at the sizes of real networks, for bench.bits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import ops

from fcn.network.upsampling import upsample
from fcn.training import losses, optimizers

Arrays = dict[str, Any]
"""Results by name."""


@dataclass(frozen=True)
class Operation:
    """A differentiable function and the shapes of its operands."""

    name: str
    compute: Callable[..., Any]
    shapes: dict[str, tuple[int, ...]]


def numbers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return random float32 in -1..1 that no library rounded: multiples of 2^-23."""
    integers = np.random.default_rng(seed).integers(-(2**23), 2**23, size=shape)
    return (integers * 2.0**-23).astype(np.float32)


def differentiate(operation: Operation, precision: str) -> Arrays:
    """Return the operation's output, and the gradients by its operands."""
    operands = [
        ops.cast(numbers(shape, seed), precision)
        for seed, shape in enumerate(operation.shapes.values())
    ]
    output = operation.compute(*operands)
    weights = ops.cast(numbers(tuple(output.shape), len(operands)), output.dtype)
    result, gradients = _pull_back(operation.compute, operands, weights)
    named = {f"by {name}": each for name, each in zip(operation.shapes, gradients, strict=True)}
    return {"output": result, **named}


def _pull_back(compute: Callable[..., Any], operands: list[Any], weights: Any) -> tuple[Any, Any]:
    """Return the output and the gradients of its weighted sum, compiled as a training step is."""
    if keras.backend.backend() == "jax":
        import jax

        @jax.jit
        def compiled(operands: list[Any], weights: Any) -> tuple[Any, Any]:
            output, pull = jax.vjp(compute, *operands)
            return output, pull(weights)

        return compiled(operands, weights)
    import tensorflow as tf

    @tf.function
    def traced(operands: list[Any], weights: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(operands)
            output = compute(*operands)
        return output, tape.gradient(output, operands, output_gradients=weights)

    return traced(operands, weights)


def digits() -> Iterator[Operation]:
    """Yield the operations of the default table: batch 16 of 64x84, an eighth of VGG's channels."""
    sizes = [(64, 84), (32, 42), (16, 21), (8, 11), (4, 6)]
    channels = [(1, 8, 8), (8, 16, 16), (16, 32, 32), (32, 64, 64), (64, 64)]
    for (height, width), chain in zip(sizes, channels, strict=True):
        for into, out in pairwise(chain):
            yield convolution(3, into, out, 16, height, width)
    for into, out in pairwise((64, 512, 512, 11)):
        yield convolution(1, into, out, 16, 2, 3)
    for stride, height, width in ((2, 2, 3), (2, 4, 6), (8, 8, 11), (16, 4, 6), (32, 2, 3)):
        yield upsampling(stride, 11, 16, height, width)
    for inner, columns in pairwise((64, 512, 512, 10)):
        yield product(32, inner, columns)
    yield from pixelwise(16, 64, 84, 11, 8)


def vgg() -> Iterator[Operation]:
    """Yield the operations of VGG-16 at 360x480, batch 1, 21 classes; fc6 has 1024 channels."""
    sizes = [(360, 480), (180, 240), (90, 120), (45, 60), (23, 30)]
    channels = [(3, 64, 64), (64, 128, 128), (128, 256, 256), (256, 512, 512), (512, 512)]
    for (height, width), chain in zip(sizes, channels, strict=True):
        for into, out in pairwise(chain):
            yield convolution(3, into, out, 1, height, width)
    yield convolution(7, 512, 1024, 1, 12, 15)
    for into, out in pairwise((1024, 1024, 21)):
        yield convolution(1, into, out, 1, 12, 15)
    for stride, height, width in ((2, 12, 15), (2, 23, 30), (8, 45, 60), (32, 12, 15)):
        yield upsampling(stride, 21, 1, height, width)
    yield product(1, 4096, 4096)
    yield from pixelwise(1, 360, 480, 21, 64)


NETWORKS = {"digits": digits, "vgg": vgg}


def convolution(kernel: int, into: int, out: int, batch: int, height: int, width: int) -> Operation:
    """Return a convolution with bias and ReLU, as the networks have it."""
    return Operation(
        f"convolution {kernel}x{kernel}, {batch} x {height}x{width}, {into}->{out}",
        lambda x, w, b: ops.relu(ops.conv(x, w, padding="same") + b),
        {
            "input": (batch, height, width, into),
            "kernel": (kernel, kernel, into, out),
            "bias": (out,),
        },
    )


def upsampling(stride: int, classes: int, batch: int, height: int, width: int) -> Operation:
    """Return an upsampling layer."""
    return Operation(
        f"upsampling, stride {stride}, {batch} x {height}x{width}, {classes}",
        lambda x, w: upsample(x, w, stride),
        {
            "input": (batch, height, width, classes),
            "kernel": (2 * stride, 2 * stride, classes, classes),
        },
    )


def product(rows: int, inner: int, columns: int) -> Operation:
    """Return a product of two matrices."""
    shapes = {"left": (rows, inner), "right": (inner, columns)}
    return Operation(f"product {rows}x{inner} by {inner}x{columns}", ops.matmul, shapes)


def pixelwise(batch: int, height: int, width: int, classes: int, channels: int) -> list[Operation]:
    """Return what is no convolution, at the sizes of a network's logits and first maps."""
    logits, maps = (batch, height, width, classes), (batch, height, width, channels)
    labels = np.random.default_rng(1).integers(classes, size=logits[:3], dtype=np.uint8)
    half = (height // 2, width // 2)
    operations: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
        "softmax cross-entropy": (lambda x: losses.pixel_cross_entropy(labels, x), logits),
        "softmax": (ops.softmax, logits),
        "sum of all": (ops.sum, maps),
        "sum by channel": (lambda x: ops.sum(x, axis=(0, 1, 2)), maps),
        "maximum pooling": (lambda x: ops.max_pool(x, 2, padding="same"), maps),
        "bilinear resizing": (lambda x: ops.image.resize(x, half, "bilinear"), logits),
    }
    return [
        Operation(f"{name}, {batch} x {height}x{width}, {shape[-1]}", compute, {"input": shape})
        for name, (compute, shape) in operations.items()
    ]


def adam() -> Arrays:
    """Return a weight and its moments after three updates."""
    variable = keras.Variable(numbers((3, 3, 64, 64), 0))
    optimizer = optimizers.Adam(3e-3)
    optimizer.build([variable])
    for step in range(3):
        optimizer.apply([ops.convert_to_tensor(numbers(variable.shape, step))], [variable])
    moments = [each for each in optimizer.variables if each.shape == variable.shape]
    return dict(zip(("weight", "first moment", "second moment"), (variable, *moments), strict=True))
