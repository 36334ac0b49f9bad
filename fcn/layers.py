"""The layers that FCN heads are made of; registered, so that a saved model opens anywhere."""

import keras
import numpy as np
from keras import KerasTensor, layers, ops

SCORES = "float32"
"""Scores are summed and compared: in bfloat16 classes would tie."""


@keras.saving.register_keras_serializable(package="fcn")
class Bilinear(keras.initializers.Initializer):
    """Start a transposed convolution as bilinear upsampling, each class on its own.

    Kernel f f K K with `f = 2 * stride`: Long et al., section 3.3. Away from the borders the kernel
    is a partition of unity, so a constant map stays the same constant.
    """

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> KerasTensor:
        """Return the kernel of this shape: height, width, channels out, channels in."""
        height, width, out, into = shape
        kernel = np.zeros(shape, "float32")
        plane = _ramp(height)[:, None] * _ramp(width)[None, :]
        for channel in range(min(out, into)):
            kernel[:, :, channel, channel] = plane
        return ops.convert_to_tensor(kernel, dtype=dtype)


def _ramp(size: int) -> np.ndarray:
    """Return the hat of bilinear interpolation at `size` taps."""
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    return 1 - np.abs(np.arange(size) - centre) / factor


@keras.saving.register_keras_serializable(package="fcn")
class CropLike(layers.Layer):
    """Crop the first map to the height and width of the second, from the top left.

    Pooling with "same" padding rounds sizes up and adds at the bottom and right, so what
    upsampling returns is at least as large as the finer map, and aligned with its top left.
    """

    def call(self, maps: tuple[KerasTensor, KerasTensor]) -> KerasTensor:
        """Return map B H' W' K cropped to the H W of `like` B H W C."""
        coarse, like = maps
        _, height, width, _ = ops.shape(like)
        return coarse[:, :height, :width, :]

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return B H W K."""
        coarse, like = shapes
        return (coarse[0], like[1], like[2], coarse[3])


def score(x: KerasTensor, classes: int, name: str) -> KerasTensor:
    """Score each class at each place: a 1x1 convolution that starts at zero (section 4.2)."""
    return layers.Conv2D(classes, 1, kernel_initializer="zeros", dtype=SCORES, name=name)(x)


def upsample(x: KerasTensor, stride: int, like: KerasTensor, name: str) -> KerasTensor:
    """Upsample scores `stride` times, bilinear at the start and learned; cropped to `like`."""
    assert stride % 2 == 0, "with an odd stride a `2 * stride` kernel is not centred"
    classes = x.shape[-1]
    x = layers.Conv2DTranspose(
        classes,
        2 * stride,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=Bilinear(),
        dtype=SCORES,
        name=name,
    )(x)
    return CropLike(dtype=SCORES, name=f"{name}_crop")([x, like])


def fuse(coarse: KerasTensor, fine: KerasTensor, name: str) -> KerasTensor:
    """Add two score maps of the same shape."""
    return layers.Add(dtype=SCORES, name=name)([coarse, fine])
