"""Intervals: exact sums, the spread that theory gives, pairs drawn alike, files that round-trip."""

from pathlib import Path

import numpy as np
import pytest

from fcn import intervals, metrics


@pytest.fixture
def matrices() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 50, (30, 4, 4))


def test_every_resample_is_the_score_of_the_images_it_drew(matrices: np.ndarray) -> None:
    values = intervals.resampled_mean_iou(matrices, resamples=100, seed=3)
    drawn = np.random.default_rng(3).multinomial(30, np.full(30, 1 / 30), size=100)
    for value, times in zip(values, drawn, strict=True):
        total = np.repeat(matrices, times, axis=0).sum(axis=0)
        assert value == pytest.approx(metrics.mean_iou(total), abs=1e-12)


def test_a_class_that_no_drawn_image_holds_is_left_out(matrices: np.ndarray) -> None:
    matrices[:, 3, :] = matrices[:, :, 3] = 0
    values = intervals.resampled_mean_iou(matrices, resamples=100, seed=3)
    assert np.isfinite(values).all()
    assert values == pytest.approx(intervals.resampled_mean_iou(matrices[:, :3, :3], 100, seed=3))


def test_images_that_are_all_alike_leave_no_doubt(matrices: np.ndarray) -> None:
    same = np.repeat(matrices[:1], 30, axis=0)
    found = intervals.interval(intervals.resampled_mean_iou(same, 200, seed=1), level=0.95)
    assert found.low == pytest.approx(found.high)
    assert found.low == pytest.approx(metrics.mean_iou(matrices[0]))


def test_the_interval_is_as_wide_as_theory_says() -> None:
    # Two classes, each image wholly right or wholly wrong on one pixel of each: IoU is a ratio of
    # counts, p / (2 - p) with p the share of right images, whose spread the delta method gives.
    right = np.random.default_rng(0).random(4000) < 0.8
    matrices = np.where(right[:, None, None], np.eye(2, dtype=int), 1 - np.eye(2, dtype=int))
    values = intervals.resampled_mean_iou(matrices, 2000, seed=1)
    found = intervals.interval(values, level=0.95)
    p = right.mean()
    spread = 2 / (2 - p) ** 2 * np.sqrt(p * (1 - p) / 4000)
    assert found.high - found.low == pytest.approx(2 * 1.96 * spread, rel=0.1)


def test_a_better_network_is_better_on_every_resample_of_the_same_images() -> None:
    better = np.tile(np.diag([9, 9]), (20, 1, 1))
    worse = better + np.random.default_rng(2).integers(1, 5, (20, 1, 1)) * (
        1 - np.eye(2, dtype=int)
    )
    gains = intervals.resampled_mean_iou(better, 200, 7) - intervals.resampled_mean_iou(
        worse, 200, 7
    )
    assert intervals.interval(gains, 0.95).low > 0


def test_matrices_come_back_as_they_were(matrices: np.ndarray, tmp_path: Path) -> None:
    ids = [f"image-{number}" for number in range(len(matrices))]
    intervals.write_matrices(tmp_path / "m.parquet", ids, matrices)
    read_ids, read = intervals.read_matrices(tmp_path / "m.parquet")
    assert read_ids == ids
    assert read.dtype == np.int64
    assert np.array_equal(read, matrices)


def test_missing_and_damaged_files_are_named(matrices: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    with pytest.raises(ValueError, match=r"m\.parquet is missing; run `dvc repro evaluate`"):
        intervals.read_matrices(path)
    intervals.write_matrices(path, [str(n) for n in range(30)], matrices)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"m\.parquet is damaged"):
        intervals.read_matrices(path)


def test_the_same_matrices_are_the_same_bytes(matrices: np.ndarray, tmp_path: Path) -> None:
    for name in ("first", "second"):
        intervals.write_matrices(tmp_path / name, [str(n) for n in range(30)], matrices)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
