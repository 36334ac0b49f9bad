"""The ceiling: scores of masks downsampled by a stride and upsampled again.

Long et al., appendix A. It needs no network and no training. The paper does not say how it
resamples. Each method here has a name, and `bench/ceiling.py` compares them with the paper's
numbers: `bilinear` is closest. A ceiling is a reference, not a bound: learned upsampling can do
better.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fcn.records.sample import IGNORE_INDEX
from fcn.records.split import Records
from fcn.runtime import workers
from fcn.scores.metrics import confusion_matrix

MASKS_PER_TASK = 64
"""Masks that a worker measures at a time."""


def nearest(label: np.ndarray, stride: int, classes: int) -> np.ndarray:
    """Take the pixel at the centre of each cell; give every pixel its cell's value.

    A cell whose centre is ignored counts as class 0. Where the centre of the last cell lies outside
    the mask, the pixel at the border is taken.
    """
    cells = _cell_centres(label, stride)
    return _upsample(np.where(cells == IGNORE_INDEX, 0, cells), stride, label)


def area(label: np.ndarray, stride: int, classes: int) -> np.ndarray:
    """Take each cell's most frequent class; give every pixel its cell's value.

    Ignored pixels count for no class.
    """
    bottom, right = (-size % stride for size in label.shape)
    padded = np.pad(label, ((0, bottom), (0, right)), constant_values=IGNORE_INDEX)
    rows, columns = padded.shape[0] // stride, padded.shape[1] // stride
    cells = padded.reshape(rows, stride, columns, stride)
    frequent = _argmax(
        (rows, columns),
        ((k, np.count_nonzero(cells == k, axis=(1, 3))) for k in _present(label, classes)),
    )
    return _upsample(frequent, stride, label)


def bilinear(label: np.ndarray, stride: int, classes: int) -> np.ndarray:
    """Take the pixel at the centre of each cell; interpolate, give every pixel the largest class.

    A cell whose centre is ignored counts for no class.
    """
    cells = _cell_centres(label, stride)
    size = (cells.shape[1] * stride, cells.shape[0] * stride)
    height, width = label.shape
    planes = (
        (k, cv2.resize((cells == k).astype(np.float32), size, interpolation=cv2.INTER_LINEAR))
        for k in _present(cells, classes)
    )
    return _argmax((height, width), ((k, plane[:height, :width]) for k, plane in planes))


METHODS: dict[str, Callable[[np.ndarray, int, int], np.ndarray]] = {
    "nearest": nearest,
    "area": area,
    "bilinear": bilinear,
}


@dataclass(frozen=True)
class MaskRange:
    """Consecutive masks of a split, for one worker."""

    folder: Path
    split: str
    start: int
    stop: int
    strides: tuple[int, ...]
    method: str


def measure_split(
    folder: Path, split: str, strides: Sequence[int], method: str, worker_count: int
) -> dict[int, np.ndarray]:
    """Return the confusion matrix K K of a split's masks against their resampled selves, by stride.

    Raises:
        ValueError: there is no such split, or a record cannot be read.
    """
    count = len(Records(folder, split))
    size = MASKS_PER_TASK
    ranges = [
        MaskRange(folder.resolve(), split, start, min(start + size, count), tuple(strides), method)
        for start in range(0, count, size)
    ]
    matrices = np.sum(list(workers.each(measure_range, ranges, worker_count)), axis=0)
    return dict(zip(strides, matrices, strict=True))


def measure_range(masks: MaskRange) -> np.ndarray:
    """Return the confusion matrices of a range of masks, one per stride, S K K."""
    source = Records(masks.folder, masks.split)
    classes = len(source.labels.classes)
    total = np.zeros((len(masks.strides), classes, classes), np.int64)
    for number in range(masks.start, masks.stop):
        label = source[number].label
        total += [measure_mask(label, stride, classes, masks.method) for stride in masks.strides]
    return total


def measure_mask(label: np.ndarray, stride: int, classes: int, method: str) -> np.ndarray:
    """Return the confusion matrix K K of a mask against itself, resampled by `stride`."""
    return confusion_matrix(label, METHODS[method](label, stride, classes), classes)


def _cell_centres(label: np.ndarray, stride: int) -> np.ndarray:
    """Return the pixel at the centre of each cell, h w."""
    rows, columns = (
        np.minimum(np.arange(0, size, stride) + stride // 2, size - 1) for size in label.shape
    )
    return label[np.ix_(rows, columns)]


def _present(label: np.ndarray, classes: int) -> list[int]:
    """Return the classes that have pixels; most masks hold only a few."""
    counts = cv2.calcHist([label], [0], None, [IGNORE_INDEX + 1], [0, IGNORE_INDEX + 1])
    return np.flatnonzero(counts[:classes]).tolist()


def _argmax(shape: tuple[int, int], planes: Iterable[tuple[int, np.ndarray]]) -> np.ndarray:
    """Return uint8 h w: the class of the largest plane, the first of equals; 0 where all are 0."""
    best, classes = np.zeros(shape, np.float32), np.zeros(shape, np.uint8)
    for k, plane in planes:
        larger = plane > best
        classes[larger] = k
        best = np.maximum(best, plane)
    return classes


def _upsample(cells: np.ndarray, stride: int, like: np.ndarray) -> np.ndarray:
    """Return each cell's value at all its pixels, cropped to the size of `like`."""
    height, width = like.shape
    return cells.repeat(stride, axis=0).repeat(stride, axis=1)[:height, :width]
