"""All that is counted of one image, for `fcn.scores.per_image`. NumPy and OpenCV only."""

import numpy as np

from fcn.datasets.shared.dataset import IGNORE_INDEX
from fcn.scores import boundaries, calibration
from fcn.scores.metrics import counts


def count(
    truth: np.ndarray, mask: np.ndarray, confidence: np.ndarray, likely: np.ndarray, classes: int
) -> dict[str, np.ndarray]:
    """Return one image's part of each array of `fcn.scores.per_image.PerImageCounts`.

    Args:
        truth: class indices uint8 H W, `IGNORE_INDEX` where not counted.
        mask: predicted class indices uint8 H W.
        confidence: softmax of the predicted class, float32 H W.
        likely: whether each class but the first passes `fcn.scores.averaging.LIKELY`, bool H W K - 1.
        classes: K.

    Raises:
        ValueError: the sizes differ, or a value is no class.
    """
    matrix, ignored = counts(truth, mask, classes)
    counted = truth != IGNORE_INDEX
    return {
        "counts": matrix,
        "ignored": ignored,
        "bands": boundaries.bands(truth, mask, classes),
        "boundary": boundaries.boundary(truth, mask, classes),
        "likely": likely_areas(truth, likely),
        "confidence": calibration.histogram(confidence[counted], (truth == mask)[counted]),
    }


def likely_areas(truth: np.ndarray, likely: np.ndarray) -> np.ndarray:
    """Return the intersection and the union of truth and likely classes, summed over classes."""
    foreground = (truth > 0) & (truth != IGNORE_INDEX)
    its_channel = np.where(foreground, truth, 1).astype(np.intp)[..., None] - 1
    found = np.take_along_axis(likely, its_channel, axis=-1)[..., 0]
    intersection = np.count_nonzero(found & foreground)
    predicted = np.count_nonzero(likely) - np.count_nonzero(likely[truth == IGNORE_INDEX])
    return np.array([intersection, np.count_nonzero(foreground) + predicted - intersection])
