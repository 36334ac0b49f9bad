"""How much of the masks survives at a stride: Long et al., appendix A.

Masks alone are made coarse by the stride and fine again; no network, no training. The paper does
not say how it did either; each way here is named, and `bench/ceiling.py` holds them against its
numbers: `bilinear` is nearest. A yardstick, not a bound: upsampling that has learned a class's
outline can do better than any of them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fcn.datasets.shared.dataset import IGNORE_INDEX
from fcn.records.record import Records
from fcn.runtime import workers
from fcn.scores.metrics import confusion_matrix

PART = 64
"""Masks that a worker measures before it takes the next ones."""


def nearest(label: np.ndarray, stride: int, classes: int) -> np.ndarray:
    """Take the pixel at the middle of each cell; give every pixel its cell's value.

    A cell whose middle is ignored counts as class 0. Where the middle of the last cell lies
    outside, the pixel at the edge is nearest to it.
    """
    cells = _middles(label, stride)
    return _spread(np.where(cells == IGNORE_INDEX, 0, cells), stride, label)


def area(label: np.ndarray, stride: int, classes: int) -> np.ndarray:
    """Take each cell's most frequent class; give every pixel its cell's value.

    Ignored pixels count for no class.
    """
    bottom, right = (-size % stride for size in label.shape)
    padded = np.pad(label, ((0, bottom), (0, right)), constant_values=IGNORE_INDEX)
    rows, columns = padded.shape[0] // stride, padded.shape[1] // stride
    cells = padded.reshape(rows, stride, columns, stride)
    frequent = _largest(
        (rows, columns),
        ((k, np.count_nonzero(cells == k, axis=(1, 3))) for k in _present(label, classes)),
    )
    return _spread(frequent, stride, label)


def bilinear(label: np.ndarray, stride: int, classes: int) -> np.ndarray:
    """Take the pixel at the middle of each cell; interpolate, give every pixel the likeliest class.

    A cell whose middle is ignored counts for no class.
    """
    cells = _middles(label, stride)
    size = (cells.shape[1] * stride, cells.shape[0] * stride)
    height, width = label.shape
    planes = (
        (k, cv2.resize((cells == k).astype(np.float32), size, interpolation=cv2.INTER_LINEAR))
        for k in _present(cells, classes)
    )
    return _largest((height, width), ((k, plane[:height, :width]) for k, plane in planes))


METHODS: dict[str, Callable[[np.ndarray, int, int], np.ndarray]] = {
    "nearest": nearest,
    "area": area,
    "bilinear": bilinear,
}


@dataclass(frozen=True)
class Part:
    """Some masks of a split, for one worker."""

    folder: Path
    split: str
    start: int
    stop: int
    strides: tuple[int, ...]
    method: str


def of_split(
    folder: Path, split: str, strides: Sequence[int], method: str, worker_count: int
) -> dict[int, np.ndarray]:
    """Return by stride the confusion matrix K K of a split's masks against themselves.

    Raises:
        ValueError: there is no such split, or a record cannot be read.
    """
    count = len(Records(folder, split))
    parts = [
        Part(folder.resolve(), split, start, min(start + PART, count), tuple(strides), method)
        for start in range(0, count, PART)
    ]
    matrices = np.sum(list(workers.each(measure, parts, worker_count)), axis=0)
    return dict(zip(strides, matrices, strict=True))


def measure(part: Part) -> np.ndarray:
    """Return the confusion matrices of a part, one per stride, S K K."""
    source = Records(part.folder, part.split)
    classes = len(source.labels.classes)
    total = np.zeros((len(part.strides), classes, classes), np.int64)
    for number in range(part.start, part.stop):
        label = source[number].label
        total += [ceiling(label, stride, classes, part.method) for stride in part.strides]
    return total


def ceiling(label: np.ndarray, stride: int, classes: int, method: str) -> np.ndarray:
    """Return the confusion matrix K K of a mask against itself through `stride`."""
    return confusion_matrix(label, METHODS[method](label, stride, classes), classes)


def _middles(label: np.ndarray, stride: int) -> np.ndarray:
    """Return the pixel at the middle of each cell."""
    rows, columns = (
        np.minimum(np.arange(0, size, stride) + stride // 2, size - 1) for size in label.shape
    )
    return label[np.ix_(rows, columns)]


def _present(label: np.ndarray, classes: int) -> list[int]:
    """Return the classes that have pixels: most masks hold few of all."""
    found = cv2.calcHist([label], [0], None, [IGNORE_INDEX + 1], [0, IGNORE_INDEX + 1])
    return np.flatnonzero(found[:classes]).tolist()


def _largest(shape: tuple[int, int], planes: Iterable[tuple[int, np.ndarray]]) -> np.ndarray:
    """Return uint8 h w: the class of the plane that is largest, the first of equals, else 0."""
    best, found = np.zeros(shape, np.float32), np.zeros(shape, np.uint8)
    for k, plane in planes:
        larger = plane > best
        found[larger] = k
        best = np.maximum(best, plane)
    return found


def _spread(cells: np.ndarray, stride: int, like: np.ndarray) -> np.ndarray:
    """Return each cell's value at all its pixels, cut to the size of `like`."""
    height, width = like.shape
    return cells.repeat(stride, axis=0).repeat(stride, axis=1)[:height, :width]
