"""Intervals: exact sums, the spread that theory gives, pairs and groups drawn alike, coverage."""

import numpy as np
import pytest

from fcn.scores import metrics
from fcn.uncertainty import intervals


@pytest.fixture
def matrices() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 50, (30, 4, 4))


def test_every_resample_is_the_score_of_the_images_it_drew(matrices: np.ndarray) -> None:
    values = intervals.resample_mean_iou(matrices, resamples=100, seed=3)
    drawn = np.random.default_rng(3).multinomial(30, np.full(30, 1 / 30), size=100)
    for value, times in zip(values, drawn, strict=True):
        total = np.repeat(matrices, times, axis=0).sum(axis=0)
        assert value == pytest.approx(metrics.mean_iou(total), abs=1e-12)


def test_a_class_that_no_drawn_image_holds_is_left_out(matrices: np.ndarray) -> None:
    matrices[:, 3, :] = matrices[:, :, 3] = 0
    values = intervals.resample_mean_iou(matrices, resamples=100, seed=3)
    assert np.isfinite(values).all()
    assert values == pytest.approx(intervals.resample_mean_iou(matrices[:, :3, :3], 100, seed=3))


def test_images_that_are_all_alike_leave_no_doubt(matrices: np.ndarray) -> None:
    same = np.repeat(matrices[:1], 30, axis=0)
    found = intervals.percentile_interval(
        intervals.resample_mean_iou(same, 200, seed=1), level=0.95
    )
    assert found.low == pytest.approx(found.high)
    assert found.low == pytest.approx(metrics.mean_iou(matrices[0]))


def test_the_interval_is_as_wide_as_theory_says() -> None:
    # Two classes, each image wholly right or wholly wrong on one pixel of each: IoU is a ratio of
    # counts, p / (2 - p) with p the share of right images, whose spread the delta method gives.
    right = np.random.default_rng(0).random(4000) < 0.8
    matrices = np.where(right[:, None, None], np.eye(2, dtype=int), 1 - np.eye(2, dtype=int))
    values = intervals.resample_mean_iou(matrices, 2000, seed=1)
    found = intervals.percentile_interval(values, level=0.95)
    p = right.mean()
    spread = 2 / (2 - p) ** 2 * np.sqrt(p * (1 - p) / 4000)
    assert found.high - found.low == pytest.approx(2 * 1.96 * spread, rel=0.1)


def test_a_better_network_is_better_on_every_resample_of_the_same_images() -> None:
    better = np.tile(np.diag([9, 9]), (20, 1, 1))
    worse = better + np.random.default_rng(2).integers(1, 5, (20, 1, 1)) * (
        1 - np.eye(2, dtype=int)
    )
    gains = intervals.resample_mean_iou(better, 200, 7) - intervals.resample_mean_iou(worse, 200, 7)
    assert intervals.percentile_interval(gains, 0.95).low > 0


def test_images_of_one_unit_are_drawn_together(matrices: np.ndarray) -> None:
    units = np.repeat(np.arange(10), 3)
    together = matrices.reshape(10, 3, 4, 4).sum(axis=1)
    np.testing.assert_array_equal(
        intervals.resample_mean_iou(matrices, 100, 3, units),
        intervals.resample_mean_iou(together, 100, 3),
    )


def test_units_need_not_stand_together(matrices: np.ndarray) -> None:
    units = np.repeat(np.arange(10), 3)
    order = np.random.default_rng(1).permutation(30)
    np.testing.assert_array_equal(
        intervals.resample_mean_iou(matrices[order], 100, 3, units[order]),
        intervals.resample_mean_iou(matrices, 100, 3, units),
    )


def test_a_unit_per_image_is_the_same_as_no_units(matrices: np.ndarray) -> None:
    np.testing.assert_array_equal(
        intervals.resample_mean_iou(matrices, 100, 3, np.arange(30)),
        intervals.resample_mean_iou(matrices, 100, 3),
    )


def test_frames_of_a_video_that_are_alike_leave_more_doubt_than_as_many_images() -> None:
    rng = np.random.default_rng(4)
    videos = rng.integers(1, 50, (20, 3, 3))
    frames, units = np.repeat(videos, 10, axis=0), np.repeat(np.arange(20), 10)

    def width(units: np.ndarray | None) -> float:
        found = intervals.percentile_interval(
            intervals.resample_mean_iou(frames, 1000, 1, units), 0.95
        )
        return found.high - found.low

    assert width(units) > 2 * width(None)


def sample(rng: np.random.Generator, images: int, skill: np.ndarray | float) -> np.ndarray:
    """Matrices of images whose share of right pixels differs from image to image."""
    pixels = rng.multinomial(500, [0.6, 0.3, 0.1], size=images)
    right = rng.beta(20 * skill, 20 * (1 - skill), size=(images, 3))
    hits = rng.binomial(pixels, right)
    n = np.zeros((images, 3, 3), np.int64)
    for true in range(3):
        n[:, true, true] = hits[:, true]
        n[:, true, (true + 1) % 3] = pixels[:, true] - hits[:, true]
    return n


@pytest.mark.soak
@pytest.mark.parametrize("frames", [1, 5])
def test_intervals_hold_the_truth_as_often_as_they_say(frames: int) -> None:
    """Of 2,000 simulated test sets: one network's score, and the gain of another on the same."""
    skills, level, sets, units = (0.7, 0.75), 0.95, 2000, 120
    rng = np.random.default_rng(0)

    def network(seed: int, skill: float, images: int) -> np.ndarray:
        # Frames of one video are one picture, seen again: all of its counts times `frames`.
        return np.repeat(sample(np.random.default_rng(seed), images, skill), frames, axis=0)

    truth = [
        metrics.mean_iou(sample(np.random.default_rng(99), 400_000, skill).sum(axis=0))
        for skill in skills
    ]
    of_unit = np.repeat(np.arange(units), frames)
    single = paired = 0
    for _ in range(sets):
        seed = int(rng.integers(2**32))
        drawn = [
            intervals.resample_mean_iou(network(seed, skill, units), 1000, seed % 1000, of_unit)
            for skill in skills
        ]
        one = intervals.percentile_interval(drawn[0], level)
        gain = intervals.percentile_interval(drawn[1] - drawn[0], level)
        single += one.low <= truth[0] <= one.high
        paired += gain.low <= truth[1] - truth[0] <= gain.high
    assert 0.93 <= single / sets <= 0.97
    assert 0.93 <= paired / sets <= 0.97
