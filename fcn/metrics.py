"""Metrics as pure functions of one confusion matrix over the whole data set. NumPy only.

Long et al., section 5: pixel accuracy, mean accuracy, mean IU, frequency weighted IU. `n[i, j]` is
the number of pixels of class i that were predicted as class j; ignored pixels are not in it.
"""

from collections.abc import Sequence

import numpy as np

from fcn.dataset import IGNORE

ABSENT = "classes that neither truth nor prediction holds are left out of means"
"""The policy for absent classes: the paper's own code's (a mean over what is not NaN)."""


def confusion_matrix(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Return counts K K int64: rows are the truth, columns the prediction.

    Args:
        truth: class indices of any shape, `IGNORE` where not counted.
        prediction: class indices of the same shape.
        classes: K.

    Raises:
        ValueError: the shapes differ, or a value is no class.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth is {truth.shape}, but the prediction is {prediction.shape}")
    counted = truth != IGNORE
    truth, prediction = truth[counted].astype(np.int64), prediction[counted].astype(np.int64)
    for name, values, also in (
        ("truth", truth, f" and {IGNORE}"),
        ("prediction", prediction, ""),
    ):
        if values.size and not (values.min() >= 0 and values.max() < classes):
            wrong = sorted(set(np.unique(values).tolist()) - set(range(classes)))
            raise ValueError(f"{name} holds {wrong}; allowed: 0..{classes - 1}{also}")
    pairs = np.bincount(truth * classes + prediction, minlength=classes * classes)
    return pairs.reshape(classes, classes)


def class_iou(n: np.ndarray) -> np.ndarray:
    """Return IoU per class K float64; NaN where neither truth nor prediction holds the class."""
    hits = np.diag(n)
    union = n.sum(axis=1) + n.sum(axis=0) - hits
    return np.divide(hits, union, out=np.full(len(n), np.nan), where=union > 0)


def class_accuracy(n: np.ndarray) -> np.ndarray:
    """Return the share of each class's pixels that were found; NaN for an absent class."""
    total = n.sum(axis=1)
    return np.divide(np.diag(n), total, out=np.full(len(n), np.nan), where=total > 0)


def pixel_accuracy(n: np.ndarray) -> float:
    """Return the share of pixels that were predicted right."""
    return float(np.diag(n).sum() / n.sum())


def mean_accuracy(n: np.ndarray) -> float:
    """Return the mean of `class_accuracy` over the classes that the truth holds."""
    return float(np.nanmean(class_accuracy(n)))


def mean_iou(n: np.ndarray) -> float:
    """Return the mean of `class_iou`, absent classes left out."""
    return float(np.nanmean(class_iou(n)))


def frequency_weighted_iou(n: np.ndarray) -> float:
    """Return `class_iou` weighted by each class's share of the truth."""
    share = n.sum(axis=1) / n.sum()
    present = share > 0
    return float((share[present] * class_iou(n)[present]).sum())


SCORES = {
    "pixel_accuracy": pixel_accuracy,
    "mean_accuracy": mean_accuracy,
    "mean_iou": mean_iou,
    "frequency_weighted_iou": frequency_weighted_iou,
}
"""Every number of a row; a score added here is in all tables, in MLflow and in DVC's metrics."""


def scores(n: np.ndarray) -> dict[str, float]:
    """Return all scores of a confusion matrix, as fractions.

    Raises:
        ValueError: not one pixel was counted.
    """
    if not n.sum():
        raise ValueError("no pixel to measure: the split is empty or all of it is ignored")
    return {name: score(n) for name, score in SCORES.items()}


def per_class(n: np.ndarray, classes: Sequence[str]) -> dict[str, float | None]:
    """Return IoU by class name, None for an absent class."""
    values = class_iou(n)
    return {
        name: None if np.isnan(value) else float(value)
        for name, value in zip(classes, values, strict=True)
    }
