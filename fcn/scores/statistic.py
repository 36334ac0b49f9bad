"""Scores as functions of sums over images: what a number and its interval have in common."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fcn.scores import averaging, intervals
from fcn.scores.averaging import CONVENTIONS, Convention
from fcn.scores.intervals import by_unit
from fcn.scores.metrics import areas, iou, share
from fcn.scores.per_image import PerImageCounts


@dataclass(frozen=True)
class Statistic:
    """A score that follows from what is counted of units, added up."""

    counted: np.ndarray
    """Of each unit, U ...: images, or what must be drawn together (`fcn.scores.per_image.PerImageCounts.units`)."""
    score: Callable[[np.ndarray], np.ndarray]
    """Of sums R ..., R scores as fractions."""

    @property
    def value(self) -> float:
        """The score of all units."""
        return float(self.score(self.counted.sum(axis=0)[None])[0])

    def resampled(self, resamples: int, seed: int) -> np.ndarray:
        """The score of each resample of the units (`fcn.scores.intervals`)."""
        return intervals.resampled(self.counted, self.score, resamples, seed)


def statistic(images: PerImageCounts, metric: str, convention: str = "berkeley") -> Statistic:
    """Return a score of `fcn.settings.published` under one of `fcn.scores.averaging.CONVENTIONS`, by name.

    A score that is a mean over batches is computed from the batches' own scores: then batches are
    the units.
    """
    rule = CONVENTIONS[convention]
    if metric == "foreground_iou":
        return _mean_of(averaging.likely_by_batch(images.likely))
    matrices = averaging.with_void(images.counts, images.ignored, rule)
    if metric == "mean_iou" and rule.together is not None:
        return _mean_of(averaging.mean_iou_by_batch(matrices, rule))
    return Statistic(
        by_unit(areas(matrices), images.units()), lambda sums: _score(metric, sums, rule)
    )


def _mean_of(values: np.ndarray) -> Statistic:
    """Return the mean of values U, those that are NaN left out."""
    known = ~np.isnan(values)
    counted = np.stack([np.where(known, values, 0.0), known], axis=1)
    return Statistic(counted, lambda sums: share(sums[:, 0], sums[:, 1]))


def _score(metric: str, sums: np.ndarray, rule: Convention) -> np.ndarray:
    """Return R scores of areas R 3 K: Long et al., section 5."""
    right, truth, _ = np.moveaxis(sums, 1, 0)
    pixels = truth.sum(axis=1)
    if metric == "pixel_accuracy":
        return share(right.sum(axis=1), pixels)
    if metric == "mean_accuracy":
        return np.nanmean(share(right, truth), axis=1)
    if metric == "frequency_weighted_iou":
        return share(np.nansum(truth * iou(sums), axis=1), pixels)
    assert metric == "mean_iou", metric
    return averaging.mean_over_classes(sums, rule)
