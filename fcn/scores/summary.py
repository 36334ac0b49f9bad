"""Every number of a row, from what was counted of its images."""

from collections.abc import Sequence
from typing import Any

from fcn.scores import boundaries, calibration, metrics
from fcn.scores.per_image import PerImageCounts


def summary(images: PerImageCounts, classes: Sequence[str]) -> dict[str, Any]:
    """Return the scores and the other measures as fractions, None for what is nowhere.

    `groups` is there where several images share one (the frames of a video): each group's scores.

    Raises:
        ValueError: not one pixel was counted.
    """
    total = images.total
    numbers: dict[str, Any] = {
        **metrics.scores(total),
        "mean_dice": metrics.mean_dice(total),
        "boundary_iou": boundaries.boundary_iou(images.boundary),
        "calibration_error": calibration.expected_calibration_error(images.confidence),
        "trimap_iou": boundaries.trimap_iou(images.bands),
        "class_iou": metrics.per_class(total, classes),
    }
    groups = images.by_group()
    if groups:
        numbers["groups"] = {
            name: {"images": len(members), **metrics.scores(images.counts[members].sum(axis=0))}
            for name, members in groups.items()
        }
    return numbers
