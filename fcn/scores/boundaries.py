"""Accuracy at edges: trimap bands around the truth's edges, and boundary IoU.

Both count areas (`fcn.scores.metrics`) of each image, which are summed over a data set.
"""

import cv2
import numpy as np

from fcn.records.sample import IGNORE_INDEX
from fcn.scores.metrics import VALUES, divide, iou

WIDTHS = (1, 2, 3, 5, 10, 20, 40)
"""Of the bands, in pixels to either side of an edge."""
DILATION = 0.02
"""Depth of the inner boundary as a share of the image's diagonal (Cheng et al., section 5: 2 % for
COCO's images, 0.5 % for Cityscapes'; the authors' and detectron2's code: 2 %)."""
NEIGHBOURS = np.ones((3, 3), np.uint8)


def trimap_areas(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Return areas W 3 K int64 of the pixels within each of `WIDTHS` of an edge of the truth.

    An edge runs between 8-neighbours of different value. `IGNORE_INDEX` counts as a value, because
    VOC's void strip marks where objects end; its pixels themselves are not counted. Kohli et al.
    2009, Krähenbühl and Koltun 2011 (section 5) and Chen et al. 2015 (DeepLab, section 5) call such
    a band a trimap and plot pixel accuracy or mean IoU over its width.

    Args:
        truth: class indices uint8 H W, `IGNORE_INDEX` where not counted.
        prediction: class indices uint8 H W.
        classes: K.
    """
    distance = cv2.distanceTransform(
        (~_edges(truth)).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    # Whole pixels from an edge, 0 for pixels that touch it: a band of width w is 0…w - 1.
    ring = np.minimum(distance, VALUES - 1).astype(np.uint8)
    right, valid = _right_and_valid(truth, prediction)
    by_distance = [
        _histogram([ring, labels], mask)[: max(WIDTHS), :classes]
        for labels, mask in ((truth, right), (truth, valid), (prediction, valid))
    ]
    within = np.cumsum(by_distance, axis=1)[:, [width - 1 for width in WIDTHS]]
    return np.moveaxis(within, 1, 0)


def boundary_areas(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Return areas 3 K int64 of the classes' inner boundaries: in both maps, truth, prediction.

    The inner boundary of a class is the set of its pixels within `DILATION` of the image's diagonal
    (at least 1 pixel, chessboard distance) of a pixel of another class or of the image's border;
    right are the pixels in both maps' boundaries of one class. Cheng et al. 2021, Boundary IoU,
    equation 3, as in bowenc0221/boundary-iou-api's `mask_to_boundary`, for all classes at once.
    Ignored pixels count as another class in the truth and are not counted themselves, as in
    detectron2's `SemSegEvaluator`.
    """
    depth = max(1, round(DILATION * float(np.hypot(*truth.shape))))
    of_truth, of_prediction = _inner(truth, depth), _inner(prediction, depth)
    right, valid = _right_and_valid(truth, prediction)
    return np.stack(
        [
            _histogram([truth], right & of_truth & of_prediction)[:classes],
            _histogram([truth], valid & of_truth)[:classes],
            _histogram([prediction], valid & of_prediction)[:classes],
        ]
    )


def boundary_iou(areas: np.ndarray) -> float | None:
    """Return the mean over classes of boundary IoU, from areas N 3 K; None without a boundary."""
    return _nanmean(iou(areas.sum(axis=0)))


def trimap_iou(areas: np.ndarray) -> dict[str, float | None]:
    """Return mean IoU by width in pixels, from areas N W 3 K; None where a band is empty."""
    values = iou(areas.sum(axis=0))
    return {str(width): _nanmean(value) for width, value in zip(WIDTHS, values, strict=True)}


def trimap_accuracy(areas: np.ndarray) -> dict[str, float | None]:
    """Return pixel accuracy by width in pixels, from areas N W 3 K; None where a band is empty."""
    right, truth, _ = np.moveaxis(areas.sum(axis=(0, -1)), -1, 0)
    values = divide(right, truth)
    return {str(width): _nanmean(value) for width, value in zip(WIDTHS, values, strict=True)}


def _nanmean(values: np.ndarray) -> float | None:
    """Return the mean of the values that are not NaN; None where all are."""
    return None if np.isnan(values).all() else float(np.nanmean(values))


def _right_and_valid(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    valid = (truth != IGNORE_INDEX).view(np.uint8)
    return (truth == prediction).view(np.uint8) & valid, valid


def _edges(labels: np.ndarray) -> np.ndarray:
    """Return bool H W: pixels with a neighbour of another value."""
    edges: np.ndarray = cv2.morphologyEx(labels, cv2.MORPH_GRADIENT, NEIGHBOURS) > 0
    return edges


def _inner(labels: np.ndarray, depth: int) -> np.ndarray:
    """Return uint8 H W: 1 within `depth` of another value or of the image's border.

    The nearest edge pixel is one pixel nearer than the nearest pixel of another value, and belongs
    to the class of the pixel it is measured from: one dilation of all edges serves all classes.
    """
    framed = cv2.copyMakeBorder(labels, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=[IGNORE_INDEX])
    edges = _edges(framed)[1:-1, 1:-1].view(np.uint8)
    size = 2 * depth - 1
    inner: np.ndarray = cv2.dilate(edges, np.ones((size, size), np.uint8))
    return inner


def _histogram(maps: list[np.ndarray], mask: np.ndarray) -> np.ndarray:
    """Return the number of pixels under the mask with each (pair of) values, int64."""
    sizes = [VALUES] * len(maps)
    counts = cv2.calcHist(maps, [*range(len(maps))], mask, sizes, [0, VALUES] * len(maps))
    return counts.reshape(sizes).astype(np.int64)
