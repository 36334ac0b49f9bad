"""EfficientNet-Lite0 of few channels in the layout of its package, and its maps in plain NumPy."""

from collections.abc import Iterator

import numpy as np

WIDTH = 1 / 16
Tensors = dict[str, np.ndarray]


def blocks() -> Iterator[tuple[int, int, int, int, int]]:
    """Yield kernel, stride, channels in, expanded and out of each block at width 1/16."""
    into = 2
    for repeats, kernel, stride, out in (
        *((1, 3, 1, 1), (2, 3, 2, 2), (2, 5, 2, 2), (3, 3, 2, 5), (3, 5, 1, 7), (4, 5, 2, 12)),
        (1, 3, 1, 20),
    ):
        for repeat in range(repeats):
            expanded = into if out == 1 else 6 * into
            yield kernel, 1 if repeat else stride, into, expanded, out
            into = out


def random(rng: np.random.Generator) -> Tensors:
    """Tensors that keep values near one through all blocks."""
    tensors: Tensors = {}

    def convolution(name: str, norm: str, *shape: int) -> None:
        out = shape[0]
        tensors[f"{name}.weight"] = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        tensors[f"{norm}.weight"] = rng.uniform(0.5, 1.5, out)
        tensors[f"{norm}.bias"] = rng.normal(0, 0.5, out)
        tensors[f"{norm}.running_mean"] = rng.normal(0, 0.5, out)
        tensors[f"{norm}.running_var"] = rng.uniform(0.5, 2, out)

    convolution("_conv_stem", "_bn0", 2, 3, 3, 3)
    for number, (kernel, _, into, expanded, out) in enumerate(blocks()):
        block = f"_blocks.{number}"
        if number:
            convolution(f"{block}._expand_conv", f"{block}._bn0", expanded, into, 1, 1)
        name = f"{block}._depthwise_conv"
        convolution(name, f"{block}._bn1", expanded, 1, kernel, kernel)
        convolution(f"{block}._project_conv", f"{block}._bn2", out, expanded, 1, 1)
    convolution("_conv_head", "_bn1", 80, 20, 1, 1)
    tensors["_fc.weight"], tensors["_fc.bias"] = rng.normal(size=(5, 80)), rng.normal(size=5)
    return {name: array.astype(np.float32) for name, array in tensors.items()}


def head(tensors: Tensors, images: np.ndarray) -> np.ndarray:
    """The head's map, B H/32 W/32 80, of preprocessed images B H W 3 of multiples of 32 pixels."""

    def convolve(x: np.ndarray, name: str, norm: str, stride: int = 1) -> np.ndarray:
        kernel = tensors[f"{name}.weight"].astype(np.float64)
        side, gap = kernel.shape[-1], max(kernel.shape[-1] - stride, 0)
        around = (gap // 2, gap - gap // 2)  # TensorFlow's `same`
        padded = np.pad(x, ((0, 0), around, around, (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
        equation = "bhwcij,ocij->bhwo"
        if name.endswith("_depthwise_conv"):
            equation, kernel = "bhwcij,cij->bhwc", kernel[:, 0]
        x = np.einsum(equation, windows[:, ::stride, ::stride], kernel)
        gamma, beta, mean, variance = (
            tensors[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta

    def relu6(x: np.ndarray) -> np.ndarray:
        return np.clip(x, 0, 6)

    x = relu6(convolve(images, "_conv_stem", "_bn0", 2))
    for number, (_, stride, *_) in enumerate(blocks()):
        block, before = f"_blocks.{number}", x
        if number:
            x = relu6(convolve(x, f"{block}._expand_conv", f"{block}._bn0"))
        x = relu6(convolve(x, f"{block}._depthwise_conv", f"{block}._bn1", stride))
        x = convolve(x, f"{block}._project_conv", f"{block}._bn2")
        if number in (2, 4, 6, 7, 9, 10, 12, 13, 14):
            x = x + before
    return relu6(convolve(x, "_conv_head", "_bn1"))
