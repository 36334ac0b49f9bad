"""Select the images of a row to show: the best, those around the median, and the worst."""

import numpy as np

from fcn.scores.averaging import BERKELEY, mean_over_classes
from fcn.scores.metrics import areas
from fcn.scores.per_image import PerImageCounts


def mean_iou_by_image(images: PerImageCounts) -> np.ndarray:
    """Return each image's own mean IoU, N float64; NaN for an image without a labelled pixel."""
    return mean_over_classes(areas(images.confusion), BERKELEY)


def select(images: PerImageCounts, count: int) -> dict[str, list[int]]:
    """Return the numbers of `count` images, or of all where there are fewer, by their rank.

    Each rank gets a third, and no image comes twice. `best` begins with the best image, `worst`
    with the worst; `median` holds the images around the median. Equal images keep the split's
    order.
    """
    scores = mean_iou_by_image(images)
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
