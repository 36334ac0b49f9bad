"""When results agree with the committed ones, and what may make their bits differ."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn.audit import reproduction
from fcn.audit.reproduction import SPREAD, Comparison, Result, Verdict
from fcn.report.table.counts import RowCounts
from fcn.scores.metrics import SCORES
from fcn.settings.common import Intervals
from fcn.uncertainty.intervals import Interval

SETTINGS = Intervals(resamples=500, level=0.95)


def row(wrong: int = 20, images: int = 40, seed: int = 0) -> RowCounts:
    """Images of 1,000 pixels and two classes; about `wrong` of the pixels of each are wrong."""
    rng = np.random.default_rng(seed)
    errors = rng.poisson(wrong, (images, 2))
    right = rng.integers(400, 600, (images, 2))
    confusion = np.stack(
        [np.stack([right[:, 0], errors[:, 0]], -1), np.stack([errors[:, 1], right[:, 1]], -1)], 1
    )
    return RowCounts([f"i{number}" for number in range(images)], np.arange(images), confusion)


def test_equal_counts_need_no_comparison() -> None:
    here = Result(row(), "a")
    assert reproduction.judge(here, here) is Verdict.SAME_BYTES
    assert reproduction.judge(here, Result(row(), "b")) is Verdict.SAME_COUNTS
    assert reproduction.judge(here, None) is Verdict.NEW
    assert reproduction.judge(here, Result(row(seed=1), "a")) is None


def test_other_images_do_not_reproduce() -> None:
    other = replace(row(), ids=[f"x{number}" for number in range(40)])
    verdict = reproduction.judge(Result(row(), "a"), Result(other, "a"))
    assert verdict is Verdict.OTHER_IMAGES
    assert not verdict.agrees


@pytest.mark.parametrize("metric", SCORES)
def test_each_score_is_compared_on_the_same_images(metric: str) -> None:
    here, committed = row(wrong=21, seed=1), row(wrong=20)
    values = reproduction.compare(here, committed, metric, SETTINGS, seed=7)
    assert values.here == pytest.approx(SCORES[metric](here.confusion.sum(axis=0)))
    assert values.committed == pytest.approx(SCORES[metric](committed.confusion.sum(axis=0)))
    assert values.interval.low < values.committed < values.interval.high
    assert values.paired.low < values.difference < values.paired.high
    assert reproduction.judge_difference(values) is Verdict.REPRODUCED


def test_pairing_removes_the_noise_that_both_share() -> None:
    committed = row(images=12)
    easy = np.arange(12)[:, None, None] < 6  # half of the images are much easier for both
    uneven = replace(committed, confusion=committed.confusion * np.where(easy, 1, [[1, 9], [9, 1]]))
    here = replace(uneven, confusion=uneven.confusion + np.eye(2, dtype=np.int64))
    values = reproduction.compare(here, uneven, "mean_iou", SETTINGS, seed=7)
    width = values.interval.high - values.interval.low
    assert values.paired.high - values.paired.low < width / 10


def test_a_row_that_lost_five_points_is_not_reproduced() -> None:
    values = reproduction.compare(row(wrong=75), row(wrong=20), "mean_iou", SETTINGS, seed=7)
    assert values.difference < -0.05
    assert reproduction.judge_difference(values) is Verdict.NOT_REPRODUCED


def between(difference: float, low: float, high: float) -> Comparison:
    return Comparison(
        0.7 + difference, 0.7, Interval(0.69, 0.71), Interval(difference - low, difference + high)
    )


@given(st.floats(-0.2, 0.2), st.floats(0, 0.05), st.floats(0, 0.05))
def test_the_expected_interval_holds_the_noise_of_images_and_of_trainings(
    difference: float, low: float, high: float
) -> None:
    values = between(difference, low, high)
    assert values.difference - values.expected.low >= max(low, SPREAD) - 1e-9
    assert values.expected.high - values.difference >= max(high, SPREAD) - 1e-9


@given(st.floats(-0.2, 0.2), st.floats(0, 0.05), st.floats(0, 0.05))
def test_the_verdict_is_that_of_the_opposite_difference(
    difference: float, low: float, high: float
) -> None:
    """Which side is called committed does not matter."""
    verdict = reproduction.judge_difference(between(difference, low, high))
    assert reproduction.judge_difference(between(-difference, high, low)) is verdict


@given(st.floats(0, SPREAD - 1e-9), st.floats(0, 0.05))
def test_a_difference_below_the_spread_of_two_trainings_is_reproduced(
    difference: float, low: float
) -> None:
    verdict = reproduction.judge_difference(between(difference, low, low))
    assert verdict is Verdict.REPRODUCED


def test_what_differs_between_two_machines_is_listed() -> None:
    committed = {
        "cpu": "A",
        "instruction_sets": ["avx2", "amx_bf16"],
        "gpus": ["X"],
        "cores": 2,
        "environment": {},
        "versions": {"numpy": "2.3", "keras": "3.15", "jax": "1"},
    }
    here = committed | {
        "cpu": "B",
        "instruction_sets": ["avx2", "avx512f"],
        "gpus": ["X", "X"],
        "environment": {"OMP_NUM_THREADS": "1"},
        "versions": {"numpy": "2.4", "keras": "3.15"},
    }
    assert list(reproduction.list_differences(committed, committed)) == []
    assert list(reproduction.list_differences(here, committed)) == [
        "cpu: B here, A committed",
        "instruction sets: avx512f only here; amx_bf16 only committed",
        "gpus: X, X here, X committed",
        "OMP_NUM_THREADS: 1 here, none committed",
        "numpy: 2.4 here, 2.3 committed",
        "jax: none here, 1 committed",
    ]
