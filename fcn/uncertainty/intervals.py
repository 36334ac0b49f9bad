"""Bootstrap intervals of scores over images, from per-image counts.

Units of resampling (images, or all frames of one video, see `fcn.scores.per_image`) are drawn with
replacement, as many as there are. The score of each resample is computed from the sum of its
counts. The spread estimates what another set of images of the same kind would give. It does not
include the spread between trainings, which needs several trainings of a row.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fcn.scores.metrics import areas, iou

MIN_UNITS = 10
"""An interval over fewer units says little: every resample mixes the same few units."""


@dataclass(frozen=True)
class Interval:
    """A percentile interval, in the unit of the score."""

    low: float
    high: float


def resample_mean_iou(
    matrices: np.ndarray, resamples: int, seed: int, units: np.ndarray | None = None
) -> np.ndarray:
    """Return mean IoU (absent classes left out) of each resample, float64.

    The same seed and units draw the same images, which makes two networks measured on the same
    images comparable resample by resample.

    Args:
        matrices: confusion matrices N K K of images.
        resamples: how many.
        seed: of the draws.
        units: each image's unit of resampling, numbered from 0, N; None makes each image a unit.
    """
    counts = sum_by_unit(areas(matrices), units)
    return resample(counts, lambda sums: np.nanmean(iou(sums), axis=1), resamples, seed)


def sum_by_unit(counts: np.ndarray, units: np.ndarray | None) -> np.ndarray:
    """Return the counts N ... of images summed over each unit of resampling, U ..."""
    if units is None:
        return counts
    sums = np.zeros((units.max() + 1, *counts.shape[1:]), counts.dtype)
    np.add.at(sums, units, counts)
    return sums


def resample(
    counts: np.ndarray, score: Callable[[np.ndarray], np.ndarray], resamples: int, seed: int
) -> np.ndarray:
    """Return the score of each resample, float64.

    Args:
        counts: of each unit, U ...
        score: maps sums R ... to R scores.
        resamples: how many.
        seed: of the draws; every score of the same seed and number of units draws the same units.
    """
    number = len(counts)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(number, np.full(number, 1 / number), size=resamples)
    # float64 holds integers exactly up to 2^53, and its matrix product uses BLAS.
    sums = draws.astype(np.float64) @ counts.reshape(number, -1).astype(np.float64)
    return score(sums.reshape(resamples, *counts.shape[1:]))


def percentile_interval(values: np.ndarray, level: float) -> Interval:
    """Return the interval that holds the middle `level` of the values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
