"""What a pixel counts in the loss, by its true class.

Median-frequency balancing: Eigen & Fergus, arXiv 1411.4734; SegNet, arXiv 1511.00561, took it over.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fcn.common.text import nearest
from fcn.settings.training import ClassWeights


def weights(
    wanted: ClassWeights | None, classes: Sequence[str], rows: Sequence[dict[str, Any]]
) -> tuple[float, ...] | None:
    """Return a weight for each class, or None where all count the same.

    Args:
        wanted: `training.class_weights`.
        classes: their names, in the order of their indices.
        rows: the training split's, of the records' index.

    Raises:
        ValueError: the settings name another class, or another number of classes.
    """
    match wanted:
        case None:
            return None
        case "median-frequency":
            pixels = np.array([row["pixels"] for row in rows], np.int64)
            return tuple(median_frequency(pixels).tolist())
        case dict():
            for name in wanted:
                if name not in classes:
                    raise ValueError(
                        f"training.class_weights: no class {name!r}; {nearest(name, classes)}"
                    )
            return tuple(wanted.get(name, 1.0) for name in classes)
    if len(wanted) != len(classes):
        raise ValueError(
            f"training.class_weights: got {len(wanted)} weights, allowed: one for each of the "
            f"{len(classes)} classes ({', '.join(classes)})"
        )
    return tuple(float(weight) for weight in wanted)


def median_frequency(pixels: np.ndarray) -> np.ndarray:
    """Return `median(frequency) / frequency` of each class, float64 K.

    A class's frequency is its share of the pixels of those images that it is in. Ignored pixels
    are left out on both sides, as they are from the loss. A class without a pixel counts 0, and is
    not in the median.

    Args:
        pixels: of each class in each image, int64 N K.
    """
    of_images = pixels.sum(axis=1, keepdims=True)
    seen = ((pixels > 0) * of_images).sum(axis=0)
    frequency = pixels.sum(axis=0) / np.maximum(seen, 1)
    there = frequency > 0
    balanced = np.zeros(len(frequency))
    balanced[there] = np.median(frequency[there]) / frequency[there]
    return balanced
