"""Initialise one model from another: layers of the same name take its weights."""

import keras
import numpy as np


def transplant(source: keras.Model, target: keras.Model) -> list[str]:
    """Copy the weights of all layers that both models have; return the names of the new layers.

    New layers keep their initial weights: scores zero, upsampling bilinear.

    Raises:
        ValueError: a layer of the same name has other shapes, or no layer is shared.
    """
    source_layers = {layer.name: layer for layer in source.layers if layer.weights}
    target_layers = {layer.name: layer for layer in target.layers if layer.weights}
    shared = [name for name in target_layers if name in source_layers]
    if not shared:
        raise ValueError(
            f"no layer of {source.name} ({', '.join(source_layers)}) "
            f"has the name of a layer of {target.name} ({', '.join(target_layers)})"
        )
    for name in shared:
        source_shapes = [weight.shape for weight in source_layers[name].weights]
        target_shapes = [weight.shape for weight in target_layers[name].weights]
        if source_shapes != target_shapes:
            raise ValueError(
                f"layer {name} is {source_shapes} in {source.name} but {target_shapes} in "
                f"{target.name}; the settings of both must describe the same network"
            )
    for name in shared:
        target_layers[name].set_weights(source_layers[name].get_weights())
    return [name for name in target_layers if name not in source_layers]


def convolutionalize(dense: keras.layers.Dense, conv: keras.layers.Conv2D) -> None:
    """Give a convolution the weights of a dense layer over the same window.

    Raises:
        ValueError: the window does not fit, naming both layers.
    """
    weights, bias = dense.get_weights()
    try:
        conv.set_weights([window(weights, tuple(conv.kernel.shape)), bias])
    except ValueError:
        raise ValueError(
            f"{dense.name} {weights.shape} does not fit {conv.name} {tuple(conv.kernel.shape)}"
        ) from None


def window(dense: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the kernel of the convolution that computes what a dense layer computes.

    Dense kernel (h w C, D) of a flattened window h w C -> kernel `shape` (H, W, C, D): Long et al.,
    section 3.1. Where the convolution's window is larger, the dense window is its centre and the
    rest is zero.

    Raises:
        ValueError: the dense window is not square, is larger, or has another number of channels.
    """
    height, width, channels, out = shape
    side = round((dense.shape[0] / channels) ** 0.5)
    if (side * side * channels, out) != dense.shape or side > min(height, width):
        raise ValueError(f"dense {dense.shape} does not fit a convolution {shape}")
    kernel = np.zeros(shape, dense.dtype)
    top, left = (height - side) // 2, (width - side) // 2
    kernel[top : top + side, left : left + side] = dense.reshape(side, side, channels, out)
    return kernel
