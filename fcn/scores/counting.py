"""All counts of one image, for `fcn.scores.per_image`. NumPy and OpenCV only."""

import numpy as np

from fcn.records.sample import IGNORE_INDEX
from fcn.scores import boundaries, calibration
from fcn.scores.metrics import count_pixels


def count_image(
    truth: np.ndarray,
    mask: np.ndarray,
    confidence: np.ndarray,
    thresholded: np.ndarray,
    classes: int,
) -> dict[str, np.ndarray]:
    """Return one image's entry in each array of `fcn.scores.per_image.PerImageCounts`.

    Args:
        truth: class indices uint8 H W, `IGNORE_INDEX` where not counted.
        mask: predicted class indices uint8 H W.
        confidence: softmax of the predicted class, float32 H W.
        thresholded: whether the softmax of each class but the first is above
            `fcn.scores.averaging.THRESHOLD`, bool H W K - 1.
        classes: K.

    Raises:
        ValueError: the sizes differ, or a value is no class.
    """
    confusion, ignored = count_pixels(truth, mask, classes)
    valid = truth != IGNORE_INDEX
    return {
        "confusion": confusion,
        "ignored": ignored,
        "trimap": boundaries.trimap_areas(truth, mask, classes),
        "boundary": boundaries.boundary_areas(truth, mask, classes),
        "thresholded": thresholded_areas(truth, thresholded),
        "calibration": calibration.histogram(confidence[valid], (truth == mask)[valid]),
    }


def thresholded_areas(truth: np.ndarray, thresholded: np.ndarray) -> np.ndarray:
    """Return intersection and union of truth and thresholded classes, summed over classes, int64.

    Args:
        truth: class indices uint8 H W, `IGNORE_INDEX` where not counted.
        thresholded: as in `count_image`.
    """
    foreground = (truth > 0) & (truth != IGNORE_INDEX)
    true_channel = np.where(foreground, truth, 1).astype(np.intp)[..., None] - 1
    hit = np.take_along_axis(thresholded, true_channel, axis=-1)[..., 0]
    intersection = np.count_nonzero(hit & foreground)
    predicted = np.count_nonzero(thresholded)
    predicted -= np.count_nonzero(thresholded[truth == IGNORE_INDEX])
    return np.array([intersection, np.count_nonzero(foreground) + predicted - intersection])
