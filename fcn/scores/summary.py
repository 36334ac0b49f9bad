"""All scores of a row, from its per-image counts."""

from collections.abc import Sequence
from typing import Any

from fcn.scores import boundaries, calibration, metrics
from fcn.scores.per_image import PerImageCounts


def summarise(images: PerImageCounts, classes: Sequence[str]) -> dict[str, Any]:
    """Return the scores and the other measures as fractions, None for an undefined one.

    `groups`, the scores of each group, is present where several images share a group (the frames
    of a video).

    Raises:
        ValueError: there is no labelled pixel.
    """
    total = images.total
    numbers: dict[str, Any] = {
        **metrics.scores(total),
        "mean_dice": metrics.mean_dice(total),
        "boundary_iou": boundaries.boundary_iou(images.boundary),
        "calibration_error": calibration.expected_calibration_error(images.calibration),
        "trimap_iou": boundaries.trimap_iou(images.trimap),
        "class_iou": metrics.per_class(total, classes),
    }
    groups = images.by_group()
    if groups:
        numbers["groups"] = {
            name: {"images": len(members), **metrics.scores(images.confusion[members].sum(axis=0))}
            for name, members in groups.items()
        }
    return numbers
