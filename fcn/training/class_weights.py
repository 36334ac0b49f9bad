"""Weights of the classes in the loss.

Median-frequency balancing: Eigen & Fergus, arXiv 1411.4734; adopted by SegNet, arXiv 1511.00561.
"""

from collections.abc import Sequence

import numpy as np

from fcn.common.text import nearest
from fcn.records.index import IndexRow
from fcn.settings.training import ClassWeights


def compute(
    setting: ClassWeights | None, classes: Sequence[str], rows: Sequence[IndexRow]
) -> tuple[float, ...] | None:
    """Return a weight for each class, or None where all classes count the same.

    Args:
        setting: `training.class_weights`.
        classes: their names, in the order of their indices.
        rows: the training split's rows of the records' index.

    Raises:
        ValueError: the setting names an unknown class, or has another number of weights.
    """
    match setting:
        case None:
            return None
        case "median-frequency":
            pixels = np.array([row.pixels for row in rows], np.int64)
            return tuple(median_frequency(pixels).tolist())
        case dict():
            for name in setting:
                if name not in classes:
                    raise ValueError(
                        f"training.class_weights: no class {name!r}; {nearest(name, classes)}"
                    )
            return tuple(setting.get(name, 1.0) for name in classes)
    if len(setting) != len(classes):
        raise ValueError(
            f"training.class_weights: got {len(setting)} weights, allowed: one for each of the "
            f"{len(classes)} classes ({', '.join(classes)})"
        )
    return tuple(float(weight) for weight in setting)


def median_frequency(pixels: np.ndarray) -> np.ndarray:
    """Return `median(frequency) / frequency` of each class, float64 K.

    A class's frequency is its share of the labelled pixels of the images that contain it. Ignored
    pixels count on neither side, as in the loss. A class without a pixel gets weight 0 and is not
    in the median.

    Args:
        pixels: of each class in each image, int64 N K.
    """
    image_pixels = pixels.sum(axis=1, keepdims=True)
    candidates = ((pixels > 0) * image_pixels).sum(axis=0)
    frequency = pixels.sum(axis=0) / np.maximum(candidates, 1)
    present = frequency > 0
    weights = np.zeros(len(frequency))
    weights[present] = np.median(frequency[present]) / frequency[present]
    return weights
