"""The weights of one layer, in the one form that every reader returns."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True)
class BatchNorm:
    """A batch normalisation, each array (out,): gamma * (x - mean) / sqrt(variance) + beta."""

    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    epsilon: float
    """Added to the variance."""

    def arrays(self) -> list[np.ndarray]:
        """Return the weights of Keras' layer."""
        return [self.gamma, self.beta, self.mean, self.variance]


@dataclass(frozen=True)
class LayerWeights:
    """A kernel and a bias (out,).

    The kernel is (height, width, in, out) of a convolution, (height, width, out, 1) of a depthwise
    one, or (in, out) of a dense layer.
    """

    kernel: np.ndarray
    bias: np.ndarray
    channels_first: bool = False
    """Whether the dense layer's inputs are a map flattened as C H W (Caffe, torch), not H W C."""
    norm: BatchNorm | None = None
    """The batch normalisation of the layer's output."""

    @classmethod
    def from_arrays(cls, arrays: Iterable[np.ndarray]) -> Self | None:
        """Return the weights if the arrays are a kernel and a bias, else None."""
        match sorted(arrays, key=np.ndim):
            case [bias, kernel] if bias.ndim == 1 and kernel.ndim in (2, 4):
                return cls(kernel, bias)
        return None

    def folded(self) -> "LayerWeights":
        """Return the weights of a layer that computes this one and its batch normalisation."""
        if self.norm is None:
            return self
        norm = self.norm
        scale = norm.gamma / np.sqrt(norm.variance.astype(np.float64) + norm.epsilon)
        depthwise = self.kernel.shape[-1] != scale.size  # (height, width, out, 1)
        kernel = self.kernel * (scale[:, None] if depthwise else scale)
        bias = norm.beta + (self.bias - norm.mean) * scale
        return LayerWeights(kernel.astype(np.float32), bias.astype(np.float32))

    def dense_kernel(self, channels: int) -> np.ndarray:
        """Return the kernel (in, out) of a dense layer for inputs flattened as H W C."""
        if not self.channels_first:
            return self.kernel
        inputs, out = self.kernel.shape
        by_channel = self.kernel.reshape(channels, inputs // channels, out)
        return by_channel.swapaxes(0, 1).reshape(inputs, out)


def move_out_last(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel of Caffe or torch, (out, in, height, width) or (out, in), with `out` last."""
    return kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel.T
