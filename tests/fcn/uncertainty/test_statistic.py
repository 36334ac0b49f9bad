"""Scores as functions of sums: the same numbers as from whole matrices, and resampled alike."""

import numpy as np
import pytest

from fcn.scores import averaging, boundaries, calibration, metrics
from fcn.scores.averaging import CONVENTIONS
from fcn.scores.per_image import PerImageCounts
from fcn.uncertainty import intervals
from fcn.uncertainty.statistic import build_statistic


def images(number: int = 10, classes: int = 4, groups: int | None = None) -> PerImageCounts:
    """Counts of random images; class 3 is nowhere."""
    rng = np.random.default_rng(7)
    confusion = rng.integers(0, 50, (number, classes, classes))
    confusion[:, 3] = confusion[:, :, 3] = 0
    thresholded = np.sort(rng.integers(1, 90, (number, 2)), axis=1)
    widths, bins = len(boundaries.WIDTHS), calibration.BINS
    named = [(f"g{n % groups}",) if groups else (f"a{n}", "b") for n in range(number)]
    return PerImageCounts(
        [str(n) for n in range(number)],
        named,
        confusion,
        rng.integers(0, 9, (number, classes)),
        np.zeros((number, widths, 3, classes), np.int64),
        np.zeros((number, 3, classes), np.int64),
        thresholded,
        np.zeros((number, 3, bins)),
    )


@pytest.mark.parametrize("name", metrics.SCORES)
def test_a_score_of_sums_is_the_score_of_the_matrix(name: str) -> None:
    assert build_statistic(images(), name).value == pytest.approx(
        metrics.SCORES[name](images().total)
    )


@pytest.mark.parametrize("name", CONVENTIONS)
def test_mean_iou_of_sums_is_that_of_the_convention(name: str) -> None:
    counted = images()
    whole = averaging.mean_iou(counted.confusion, counted.ignored, CONVENTIONS[name])
    assert build_statistic(counted, "mean_iou", name).value == pytest.approx(whole, nan_ok=True)


def test_foreground_iou_of_sums_is_that_of_the_batches() -> None:
    counted = images()
    assert build_statistic(counted, "foreground_iou").value == pytest.approx(
        averaging.thresholded_iou(counted.thresholded)
    )


def test_void_as_background_counts_in_accuracy_too() -> None:
    counted, convention = images(), CONVENTIONS["void as background"]
    assert build_statistic(counted, "pixel_accuracy", "void as background").value == pytest.approx(
        averaging.pixel_accuracy(counted.confusion, counted.ignored, convention)
    )


@pytest.mark.parametrize("groups", [None, 3])
def test_resamples_draw_the_same_units_for_every_score(groups: int | None) -> None:
    counted = images(groups=groups)
    drawn = build_statistic(counted, "mean_iou").resample(100, seed=5)
    again = intervals.resample_mean_iou(counted.confusion, 100, 5, counted.resampling_units())
    np.testing.assert_allclose(drawn, again)
    accuracy = build_statistic(counted, "pixel_accuracy").resample(100, seed=5)
    assert np.corrcoef(drawn, accuracy)[0, 1] > 0.5


@pytest.mark.parametrize("convention", ["per image", "per batch of 4"])
def test_means_over_batches_are_resampled_by_batch(convention: str) -> None:
    of = build_statistic(images(), "mean_iou", convention)
    drawn = of.resample(300, seed=1)
    assert drawn.std() > 0
    assert drawn.mean() == pytest.approx(of.value, abs=4 * drawn.std() / np.sqrt(300))
