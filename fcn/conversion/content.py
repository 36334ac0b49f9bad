"""What the index says of a record's content: written when converting, compared when validating."""

import hashlib
from typing import Any

import cv2
import numpy as np

from fcn.records.example import Example
from fcn.records.sample import IGNORE_INDEX

STRIP = 2**22
"""Pixels counted at once: OpenCV gives float32, which is exact up to four times as many."""


def describe(example: Example, mask: np.ndarray, classes: int) -> dict[str, Any]:
    """Return those fields of a record's `IndexRow` that follow from its content.

    `mask` is the example's, decoded to uint8 H W.
    """
    counts = histogram(mask)
    return {
        "id": example.id,
        "height": example.height,
        "width": example.width,
        "bytes": len(example.image),
        "image_sha256": hashlib.sha256(example.image).hexdigest(),
        "label_sha256": hashlib.sha256(mask.tobytes()).hexdigest(),
        "pixels": tuple(counts[:classes]),
        "ignored": counts[IGNORE_INDEX],
    }


def histogram(mask: np.ndarray) -> list[int]:
    """Return how many pixels of a uint8 mask hold each of the values 0..255.

    Three times as fast as `np.bincount`, which makes 8 bytes of each pixel first.
    """
    strips = np.array_split(mask.ravel(), 1 + mask.size // STRIP)
    counts = [cv2.calcHist([strip], [0], None, [256], [0, 256]) for strip in strips]
    return np.sum(counts, axis=0, dtype=np.int64).ravel().tolist()
