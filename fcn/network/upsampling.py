"""Learned upsampling: transposed convolutions and their initial kernels."""

import keras
import numpy as np
from keras import KerasTensor, layers, ops


@keras.saving.register_keras_serializable(package="fcn")
class Bilinear(keras.initializers.Initializer):
    """Start a transposed convolution as bilinear upsampling of each class by itself.

    Kernel f f K K with `f = 2 * stride`: Long et al., section 3.3. Away from the borders the kernel
    is a partition of unity, so a constant map stays the same constant.
    """

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> KerasTensor:
        """Return the kernel of this shape: height, width, channels out, channels in."""
        height, width, out, into = shape
        kernel = np.zeros(shape, "float32")
        plane = _hat(height)[:, None] * _hat(width)[None, :]
        for channel in range(min(out, into)):
            kernel[:, :, channel, channel] = plane
        return ops.convert_to_tensor(kernel, dtype=dtype)


def _hat(size: int) -> np.ndarray:
    """Return the hat function of linear interpolation, sampled at `size` positions."""
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    return 1 - np.abs(np.arange(size) - centre) / factor


@keras.saving.register_keras_serializable(package="fcn")
class Upsample(layers.Conv2DTranspose):
    """A transposed convolution whose kernel has twice the stride, as one matrix product.

    Equal to Conv2DTranspose up to rounding, with weights of the same shape and name. A step of
    training FCN-32s takes half the CPU time (docs/log.md, 2026-11-28).
    """

    def call(self, scores: KerasTensor) -> KerasTensor:
        """Return scores B H W K as B H' W' F with F `filters`.

        Padding "valid": H' is (H + 1) stride. Padding "same": H stride, without half a stride at
        each border.
        """
        (stride, _), sides = self.strides, self.kernel_size
        assert sides == (2 * stride, 2 * stride), "see the class"
        assert not self.use_bias
        pixels = upsample(scores, self.kernel, stride)
        if self.padding == "valid":
            return pixels
        batch, height, width, _ = ops.shape(scores)
        size = (batch, height * stride, width * stride, self.filters)
        return ops.slice(pixels, (0, stride // 2, stride // 2, 0), size)


def upsample(scores: KerasTensor, kernel: KerasTensor, stride: int) -> KerasTensor:
    """Return the transposed convolution of scores B H W K as B (H + 1)s (W + 1)s F, s `stride`.

    `kernel` is 2s 2s F K. Each block of s × s pixels is a linear function of the 2 × 2 nearest
    scores: one matrix product makes all blocks, and `depth_to_space` arranges them as pixels.
    """
    batch, height, width, into = ops.shape(scores)
    out = kernel.shape[2]
    # B H+1 W+1 4K: the scores around each block, zeros beyond the border.
    x = ops.pad(scores, ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = ops.concatenate([x[:, :-1, :-1], x[:, :-1, 1:], x[:, 1:, :-1], x[:, 1:, 1:]], axis=-1)
    # A position writes the first half of its kernel into one block, the second into the next.
    kernel = ops.reshape(kernel, (2, stride, 2, stride, out, into))
    kernel = ops.flip(ops.transpose(kernel, (0, 2, 5, 1, 3, 4)), axis=(0, 1))
    kernel = ops.reshape(kernel, (4 * into, stride * stride * out))
    blocks = ops.matmul(ops.reshape(x, (-1, 4 * into)), kernel)
    blocks = ops.reshape(blocks, (batch, height + 1, width + 1, stride * stride * out))
    return ops.depth_to_space(blocks, stride)


@keras.saving.register_keras_serializable(package="fcn")
class OddUpsample(layers.Conv2DTranspose):
    """`Upsample` with a kernel of one less than twice the stride, for padding "valid" only."""

    def call(self, scores: KerasTensor) -> KerasTensor:
        """Return scores B H W K as B (H + 1)s - 1 (W + 1)s - 1 F with F `filters`, s `stride`."""
        stride = self.strides[0]
        assert self.kernel_size == (2 * stride - 1, 2 * stride - 1), "see the class"
        assert self.padding == "valid"
        assert not self.use_bias
        kernel = ops.pad(self.kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))
        pixels = upsample(scores, kernel, stride)
        batch, height, width, _ = ops.shape(scores)
        size = (batch, (height + 1) * stride - 1, (width + 1) * stride - 1, self.filters)
        return ops.slice(pixels, (0, 0, 0, 0), size)
