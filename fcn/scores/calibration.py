"""Expected calibration error: how far a network's confidence is from its accuracy.

Guo et al. 2017 (On Calibration of Modern Neural Networks, section 2): pixels are binned by
confidence, the softmax of the predicted class. The error is the mean over pixels of the difference
between a bin's accuracy and its mean confidence.
"""

import numpy as np

BINS = 15
"""As in the paper's experiments; bin m holds confidences in (m / 15, (m + 1) / 15]."""


def histogram(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return pixels, right pixels and the sum of confidences of each bin, 3 `BINS` float64.

    Args:
        confidence: probability of the predicted class of each pixel, float32 in 0..1.
        right: whether that class is the true one, bool of the same shape.
    """
    bins = np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1).ravel()
    pixels = np.bincount(bins + BINS * right.ravel(), minlength=2 * BINS).reshape(2, BINS)
    sums = np.bincount(bins, weights=confidence.ravel(), minlength=BINS)
    return np.stack([pixels.sum(axis=0), pixels[1], sums])


def expected_calibration_error(histograms: np.ndarray) -> float:
    """Return the error as a fraction, from the histograms N 3 `BINS` of images."""
    pixels, right, confidence = histograms.sum(axis=0)
    return float(np.abs(right - confidence).sum() / pixels.sum())
