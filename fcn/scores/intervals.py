"""How sure a number is: bootstrap intervals over images, from what was counted of each.

Units (images; the frames of one video together, `fcn.scores.per_image`) are drawn with replacement, as many
as there are, and the score is computed from the sum of their counts each time: the spread is what
another set of images of the same kind would have given. It does not see the spread between
trainings: for that a row has to be trained several times.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fcn.scores.metrics import areas, iou

FEW = 10
"""An interval over fewer units says little: it can only hold mixtures of these few."""


@dataclass(frozen=True)
class Interval:
    """A percentile interval, in the unit of the score."""

    low: float
    high: float


def resampled_mean_iou(
    matrices: np.ndarray, resamples: int, seed: int, units: np.ndarray | None = None
) -> np.ndarray:
    """Return mean IoU (absent classes left out) of each resample, float64.

    The same seed and units draw the same images, so that two networks measured on the same images
    can be compared pair by pair.

    Args:
        matrices: confusion matrices N K K of images.
        resamples: how many.
        seed: of the draws.
        units: for each image the number 0… of the unit it is drawn with; without it each image is
            one.
    """
    counted = by_unit(areas(matrices), units)
    return resampled(counted, lambda sums: np.nanmean(iou(sums), axis=1), resamples, seed)


def by_unit(counted: np.ndarray, units: np.ndarray | None) -> np.ndarray:
    """Return what is counted of images N ... added up over each unit."""
    if units is None:
        return counted
    together = np.zeros((units.max() + 1, *counted.shape[1:]), counted.dtype)
    np.add.at(together, units, counted)
    return together


def resampled(
    counted: np.ndarray, score: Callable[[np.ndarray], np.ndarray], resamples: int, seed: int
) -> np.ndarray:
    """Return a score of each resample, float64.

    Args:
        counted: of each unit, U ...
        score: of sums R ..., R scores.
        resamples: how many.
        seed: of the draws; the same units are drawn for every score.
    """
    number = len(counted)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(number, np.full(number, 1 / number), size=resamples)
    # Counts stay exact: float64 holds whole numbers up to 2^53, and its product is BLAS's.
    sums = drawn.astype(np.float64) @ counted.reshape(number, -1).astype(np.float64)
    return score(sums.reshape(resamples, *counted.shape[1:]))


def interval(values: np.ndarray, level: float) -> Interval:
    """Return the interval that holds the middle `level` of the values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
