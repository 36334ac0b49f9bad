"""Whether a network is as sure as it is right: expected calibration error.

Guo et al. 2017 (On Calibration of Modern Neural Networks, section 2): pixels are put into bins by
their confidence, the softmax of the class that was chosen; the error is the mean over pixels of the
difference between a bin's share of right pixels and its mean confidence.
"""

import numpy as np

BINS = 15
"""As in the paper's experiments; bin m holds confidences in (m / 15, (m + 1) / 15]."""


def histogram(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return pixels, right ones and the sum of their confidences by bin, 3 `BINS` float64.

    Args:
        confidence: probability of the chosen class of each pixel, float32 in 0..1.
        right: whether that class is the truth, of the same shape.
    """
    number = np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1).ravel()
    pixels = np.bincount(number + BINS * right.ravel(), minlength=2 * BINS).reshape(2, BINS)
    sums = np.bincount(number, weights=confidence.ravel(), minlength=BINS)
    return np.stack([pixels.sum(axis=0), pixels[1], sums])


def expected_calibration_error(counted: np.ndarray) -> float:
    """Return the error as a fraction, from histograms N 3 `BINS`."""
    pixels, right, confidence = counted.sum(axis=0)
    return float(np.abs(right - confidence).sum() / pixels.sum())
