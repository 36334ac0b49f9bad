"""Metrics as pure functions of one confusion matrix over the whole data set. No Keras.

Long et al., section 5: pixel accuracy, mean accuracy, mean IU, frequency weighted IU. `n[i, j]` is
the number of pixels of class i that were predicted as class j; ignored pixels are not in it.

IoU and Dice need less than the matrix: per class the right, the true and the predicted pixels.
These three rows are called areas, 3 K.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from fcn.records.sample import IGNORE_INDEX

ABSENT = "classes that neither truth nor prediction holds are left out of means"
"""The convention for absent classes: that of the paper's code (nanmean). Other tools' are in
`fcn.scores.averaging`."""

VALUES = IGNORE_INDEX + 1
MAX_EXACT = 2**24
"""OpenCV's histograms are float32, which holds integers exactly up to this one."""


def count_pixels(
    truth: np.ndarray, prediction: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the confusion matrix K K and the ignored pixels by predicted class K, both int64.

    Args:
        truth: class indices of any shape, `IGNORE_INDEX` where not counted.
        prediction: class indices of the same shape; any value is allowed where truth is ignored.
        classes: K.

    Raises:
        ValueError: the shapes differ, or a value is no class.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth is {truth.shape}, but the prediction is {prediction.shape}")
    flat = [values.reshape(1, -1) for values in _as_bytes(truth, prediction, classes)]
    matrix, ignored = np.zeros((classes, classes), np.int64), np.zeros(classes, np.int64)
    for start in range(0, truth.size, MAX_EXACT):
        part = [values[:, start : start + MAX_EXACT] for values in flat]
        pairs = cv2.calcHist(part, [0, 1], None, [VALUES, VALUES], [0, VALUES, 0, VALUES])
        # Rows are the truth. A pixel outside these rows and the ignored row has an invalid value.
        valid = pairs[:classes, :classes].astype(np.int64)
        if valid.sum() + pairs[IGNORE_INDEX].sum(dtype=np.int64) != part[0].size:
            pairs[IGNORE_INDEX] = 0
            _refuse("truth", np.flatnonzero(pairs.any(axis=1)), classes)
            _refuse("prediction", np.flatnonzero(pairs.any(axis=0)), classes)
        matrix += valid
        ignored += pairs[IGNORE_INDEX, :classes].astype(np.int64)
    return matrix, ignored


def _as_bytes(truth: np.ndarray, prediction: np.ndarray, classes: int) -> list[np.ndarray]:
    """Return both as uint8; refuse values outside 0..255."""
    if truth.dtype == prediction.dtype == np.uint8:
        return [truth, prediction]
    prediction = np.where(truth == IGNORE_INDEX, 0, prediction)
    for name, values in (("truth", truth), ("prediction", prediction)):
        if values.size and not 0 <= values.min() <= values.max() <= IGNORE_INDEX:
            _refuse(name, np.unique(values), classes)
    return [truth.astype(np.uint8), prediction.astype(np.uint8)]


def _refuse(name: str, values: np.ndarray, classes: int) -> None:
    allowed, suffix = set(range(classes)), ""
    if name == "truth":
        allowed, suffix = allowed | {IGNORE_INDEX}, f" and {IGNORE_INDEX}"
    invalid = sorted(set(values.tolist()) - allowed)
    if invalid:
        raise ValueError(f"{name} holds {invalid}; allowed: 0..{classes - 1}{suffix}")


def confusion_matrix(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Return the matrix K K int64, rows are the truth; arguments as in `count_pixels`."""
    return count_pixels(truth, prediction, classes)[0]


def areas(n: np.ndarray) -> np.ndarray:
    """Return ... 3 K from matrices ... K K: right, true and predicted pixels."""
    right = np.diagonal(n, axis1=-2, axis2=-1)
    return np.stack([right, n.sum(axis=-1), n.sum(axis=-2)], axis=-2)


def iou(a: np.ndarray) -> np.ndarray:
    """Return IoU ... K of areas ... 3 K; NaN where neither truth nor prediction has the class."""
    right, truth, predicted = np.moveaxis(a, -2, 0)
    return divide(right, truth + predicted - right)


def divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole, float64; NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def class_iou(n: np.ndarray) -> np.ndarray:
    """Return IoU per class K float64; NaN where neither truth nor prediction holds the class."""
    return iou(areas(n))


def class_accuracy(n: np.ndarray) -> np.ndarray:
    """Return the share of each class's pixels that are right; NaN for an absent class."""
    right, truth, _ = areas(n)
    return divide(right, truth)


def class_dice(n: np.ndarray) -> np.ndarray:
    """Return Dice per class K, which is F1: 2 right / (truth + predicted); NaN as in `iou`."""
    right, truth, predicted = areas(n)
    return divide(2 * right, truth + predicted)


def pixel_accuracy(n: np.ndarray) -> float:
    """Return the share of right pixels."""
    return float(np.diag(n).sum() / n.sum())


def mean_accuracy(n: np.ndarray) -> float:
    """Return the mean of `class_accuracy` over the classes that the truth holds."""
    return float(np.nanmean(class_accuracy(n)))


def mean_iou(n: np.ndarray) -> float:
    """Return the mean of `class_iou`, absent classes left out."""
    return float(np.nanmean(class_iou(n)))


def mean_dice(n: np.ndarray) -> float:
    """Return the mean of `class_dice`, absent classes left out (mmsegmentation's mDice)."""
    return float(np.nanmean(class_dice(n)))


def frequency_weighted_iou(n: np.ndarray) -> float:
    """Return `class_iou` weighted by each class's share of the truth."""
    share_of_truth = n.sum(axis=1) / n.sum()
    present = share_of_truth > 0
    return float((share_of_truth[present] * class_iou(n)[present]).sum())


SCORES = {
    "pixel_accuracy": pixel_accuracy,
    "mean_accuracy": mean_accuracy,
    "mean_iou": mean_iou,
    "frequency_weighted_iou": frequency_weighted_iou,
}
"""The scores of a row; one added here is in all tables, in MLflow and in DVC's metrics."""


def scores(n: np.ndarray) -> dict[str, float]:
    """Return all scores of a confusion matrix, as fractions.

    Raises:
        ValueError: there is no labelled pixel.
    """
    if not n.sum():
        raise ValueError("no labelled pixel: the split is empty, or all its pixels are ignored")
    return {name: score(n) for name, score in SCORES.items()}


def per_class(n: np.ndarray, classes: Sequence[str]) -> dict[str, float | None]:
    """Return IoU by class name, None for an absent class."""
    return {
        name: None if np.isnan(value) else float(value)
        for name, value in zip(classes, class_iou(n), strict=True)
    }
