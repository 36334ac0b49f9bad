"""The weights of one layer, in the one form that every reader returns."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True)
class LayerWeights:
    """A kernel and a bias (out,).

    The kernel is (height, width, in, out) of a convolution, or (in, out) of a dense layer.
    """

    kernel: np.ndarray
    bias: np.ndarray
    channels_first: bool = False
    """Whether the dense layer's inputs are a map flattened as C H W (Caffe, torch), not H W C."""

    @classmethod
    def from_arrays(cls, arrays: Iterable[np.ndarray]) -> Self | None:
        """Return the weights if the arrays are a kernel and a bias, else None."""
        match sorted(arrays, key=np.ndim):
            case [bias, kernel] if bias.ndim == 1 and kernel.ndim in (2, 4):
                return cls(kernel, bias)
        return None

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
