"""Which images of a row to show: the best, those in the middle and the worst."""

import numpy as np

from fcn.scores.averaging import BERKELEY, mean_over_classes
from fcn.scores.metrics import areas
from fcn.scores.per_image import PerImageCounts


def mean_iou(images: PerImageCounts) -> np.ndarray:
    """Return each image's own mean IoU, N float64; NaN where nothing was counted."""
    return mean_over_classes(areas(images.counts), BERKELEY)


def chosen(images: PerImageCounts, count: int) -> dict[str, list[int]]:
    """Return the numbers of `count` images, or of all where there are fewer, by what they are.

    A third each, no image twice; the best begin with the best, the worst with the worst, those in
    the middle are the ones around the median. Of equals the first in the split comes first.
    """
    scores = mean_iou(images)
    order = np.argsort(-scores, kind="stable")[: np.count_nonzero(~np.isnan(scores))].tolist()
    count = min(count, len(order))
    worst, best, median = ((count + extra) // 3 for extra in (2, 1, 0))
    between = order[best : len(order) - worst]
    start = (len(between) - median) // 2
    return {
        "best": order[:best],
        "median": between[start : start + median],
        "worst": order[len(order) - worst :][::-1],
    }
