"""Start one model from another: same-named layers take its weights, new ones keep their start."""

import keras
import numpy as np


def transplant(source: keras.Model, target: keras.Model) -> list[str]:
    """Copy the weights of all layers that both models name; return the names of the new layers.

    New layers keep what they were built with: scores zero, upsampling bilinear.

    Raises:
        ValueError: a layer of the same name has other shapes, or no layer is shared.
    """
    ours = {layer.name: layer for layer in target.layers if layer.weights}
    theirs = {layer.name: layer for layer in source.layers if layer.weights}
    shared = [name for name in ours if name in theirs]
    if not shared:
        raise ValueError(
            f"no layer of {source.name} ({', '.join(theirs)}) "
            f"fits a layer of {target.name} ({', '.join(ours)})"
        )
    for name in shared:
        have = [weight.shape for weight in theirs[name].weights]
        need = [weight.shape for weight in ours[name].weights]
        if have != need:
            raise ValueError(
                f"layer {name} is {have} in {source.name} but {need} in {target.name}; "
                "the settings of both must describe the same network"
            )
    for name in shared:
        ours[name].set_weights(theirs[name].get_weights())
    return [name for name in ours if name not in theirs]


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
    """Return the kernel of a convolution that does what a dense layer does.

    Dense kernel (h w C, D), of a flattened window h w C -> kernel `shape` (H, W, C, D): Long et
    al., section 3.1. Where the convolution's window is larger (`same` padding saw only zeros there)
    the dense window is its centre, and the rest is zero.

    Raises:
        ValueError: the dense window is not square, is larger, or gives another number of channels.
    """
    height, width, channels, out = shape
    side = round((dense.shape[0] / channels) ** 0.5)
    if (side * side * channels, out) != dense.shape or side > min(height, width):
        raise ValueError(f"dense {dense.shape} does not fit a convolution {shape}")
    kernel = np.zeros(shape, dense.dtype)
    top, left = (height - side) // 2, (width - side) // 2
    kernel[top : top + side, left : left + side] = dense.reshape(side, side, channels, out)
    return kernel
