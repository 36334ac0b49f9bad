"""How much of the masks survives at a stride: Long et al., appendix A.

Masks alone are made coarse by the stride and fine again; no network, no training. The paper does
not say how it did either; each way here is named. A yardstick, not a bound: upsampling that has
learned a class's outline can do better than any of them.
"""

from collections.abc import Callable, Iterable

import cv2
import numpy as np

from fcn.dataset import IGNORE
from fcn.metrics import confusion_matrix


def nearest(label: np.ndarray, stride: int, classes: int) -> np.ndarray:
    """Take the pixel at the middle of each cell; give every pixel its cell's value.

    A cell whose middle is ignored counts as class 0. Where the middle of the last cell lies
    outside, the pixel at the edge is nearest to it.
    """
    rows, columns = (
        np.minimum(np.arange(0, size, stride) + stride // 2, size - 1) for size in label.shape
    )
    cells = label[np.ix_(rows, columns)]
    return _spread(np.where(cells == IGNORE, 0, cells), stride, label)


def area(label: np.ndarray, stride: int, classes: int) -> np.ndarray:
    """Take each cell's most frequent class; give every pixel its cell's value."""
    shares = _shares(label, stride, classes)
    return _spread(shares.argmax(axis=-1), stride, label)


def bilinear(label: np.ndarray, stride: int, classes: int) -> np.ndarray:
    """Take each cell's class shares, interpolate them, give every pixel the largest."""
    shares = _shares(label, stride, classes)
    size = (shares.shape[1] * stride, shares.shape[0] * stride)
    planes = [
        cv2.resize(shares[..., k], size, interpolation=cv2.INTER_LINEAR) for k in range(classes)
    ]
    height, width = label.shape
    return np.stack(planes).argmax(axis=0)[:height, :width]


METHODS: dict[str, Callable[[np.ndarray, int, int], np.ndarray]] = {
    "nearest": nearest,
    "area": area,
    "bilinear": bilinear,
}


def ceiling(labels: Iterable[np.ndarray], stride: int, classes: int, method: str) -> np.ndarray:
    """Return the confusion matrix K K of all masks against themselves through `stride`."""
    total = np.zeros((classes, classes), np.int64)
    for label in labels:
        total += confusion_matrix(label, METHODS[method](label, stride, classes), classes)
    return total


def _pad(label: np.ndarray, stride: int) -> np.ndarray:
    """Return the mask enlarged at bottom and right to whole cells, ignored there."""
    bottom, right = (-size % stride for size in label.shape)
    return np.pad(label, ((0, bottom), (0, right)), constant_values=IGNORE)


def _shares(label: np.ndarray, stride: int, classes: int) -> np.ndarray:
    """Return the share of each class in each cell, h w K float32; ignored pixels count for none."""
    padded = _pad(label, stride)
    rows, columns = padded.shape[0] // stride, padded.shape[1] // stride
    cells = padded.reshape(rows, stride, columns, stride)
    planes = [(cells == k).mean(axis=(1, 3), dtype=np.float32) for k in range(classes)]
    return np.stack(planes, axis=-1)


def _spread(cells: np.ndarray, stride: int, like: np.ndarray) -> np.ndarray:
    """Return each cell's value at all its pixels, cut to the size of `like`."""
    height, width = like.shape
    return cells.repeat(stride, axis=0).repeat(stride, axis=1)[:height, :width]
