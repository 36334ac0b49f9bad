"""Scores as functions of sums over images: the common basis of a value and its interval."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fcn.scores import averaging
from fcn.scores.averaging import BERKELEY, CONVENTIONS, Convention
from fcn.scores.metrics import areas, divide, iou
from fcn.scores.per_image import PerImageCounts
from fcn.uncertainty import intervals
from fcn.uncertainty.intervals import sum_by_unit


@dataclass(frozen=True)
class Statistic:
    """A score that is a function of the sum of its units' counts."""

    counts: np.ndarray
    """Of each unit of resampling, U ... (`fcn.scores.per_image.resampling_units`)."""
    score: Callable[[np.ndarray], np.ndarray]
    """Maps sums R ... to R scores as fractions."""

    @property
    def value(self) -> float:
        """The score of all units."""
        return float(self.score(self.counts.sum(axis=0)[None])[0])

    def resample(self, resamples: int, seed: int) -> np.ndarray:
        """Return the score of each resample of the units (`fcn.uncertainty.intervals`)."""
        return intervals.resample(self.counts, self.score, resamples, seed)


def build_statistic(images: PerImageCounts, metric: str, convention: str = "berkeley") -> Statistic:
    """Return a metric of `fcn.settings.published` under a convention, both by name.

    A metric that is a mean over batches is computed from the scores of the batches; the batches are
    then the units of resampling.
    """
    rule = CONVENTIONS[convention]
    if metric == "foreground_iou":
        return _mean_of(averaging.thresholded_iou_by_batch(images.thresholded))
    matrices = averaging.with_void(images.confusion, images.ignored, rule)
    if metric == "mean_iou" and rule.batch is not None:
        return _mean_of(averaging.mean_iou_by_batch(matrices, rule))
    return from_matrices(matrices, images.resampling_units(), metric, rule)


def from_matrices(
    matrices: np.ndarray, units: np.ndarray, metric: str, rule: Convention = BERKELEY
) -> Statistic:
    """Return a metric of `fcn.scores.metrics.SCORES`.

    Args:
        matrices: confusion matrices N K K of images.
        units: each image's unit of resampling, N.
        metric: its name.
        rule: how absent classes count; one without batches.
    """
    return Statistic(sum_by_unit(areas(matrices), units), lambda sums: _score(metric, sums, rule))


def _mean_of(values: np.ndarray) -> Statistic:
    """Return the mean of values U, NaN left out."""
    defined = ~np.isnan(values)
    counts = np.stack([np.where(defined, values, 0.0), defined], axis=1)
    return Statistic(counts, lambda sums: divide(sums[:, 0], sums[:, 1]))


def _score(metric: str, sums: np.ndarray, rule: Convention) -> np.ndarray:
    """Return R scores of areas R 3 K: Long et al., section 5."""
    right, truth, _ = np.moveaxis(sums, 1, 0)
    pixels = truth.sum(axis=1)
    if metric == "pixel_accuracy":
        return divide(right.sum(axis=1), pixels)
    if metric == "mean_accuracy":
        return np.nanmean(divide(right, truth), axis=1)
    if metric == "frequency_weighted_iou":
        return divide(np.nansum(truth * iou(sums), axis=1), pixels)
    assert metric == "mean_iou", metric
    return averaging.mean_over_classes(sums, rule)
