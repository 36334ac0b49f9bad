"""What any file of weights says of one layer, in one form."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True)
class Layer:
    """A kernel and a bias (out,).

    The kernel is (height, width, in, out) of a convolution, or (in, out) of a dense layer.
    """

    kernel: np.ndarray
    bias: np.ndarray
    channels_first: bool = False
    """Whether the dense layer's inputs are a map flattened as C H W (Caffe, torch), not H W C."""

    @classmethod
    def of(cls, arrays: Iterable[np.ndarray]) -> Self | None:
        """Return the layer made of a kernel and a bias; None if these are something else."""
        match sorted(arrays, key=np.ndim):
            case [bias, kernel] if bias.ndim == 1 and kernel.ndim in (2, 4):
                return cls(kernel, bias)
        return None

    def rows(self, channels: int) -> np.ndarray:
        """Return a dense kernel (in, out) for inputs flattened as H W C."""
        if not self.channels_first:
            return self.kernel
        inputs, out = self.kernel.shape
        places = self.kernel.reshape(channels, inputs // channels, out)
        return places.swapaxes(0, 1).reshape(inputs, out)


def oihw(kernel: np.ndarray) -> np.ndarray:
    """Return the kernel of a convolution or dense layer of Caffe or torch with `out` at the end."""
    return kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel.T
