from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn.scores import extremes
from fcn.scores.per_image import PerImageCounts
from tests.fcn.uncertainty.test_statistic import images


def of(right: list[int]) -> PerImageCounts:
    """Images of 100 pixels each, so many of them right; none counted where less than nought."""
    confusion = np.array([[[n, 100 - n], [0, 0]] if n >= 0 else np.zeros((2, 2)) for n in right])
    return replace(images(len(right), 4), confusion=confusion.astype(np.int64))


def test_an_image_is_scored_by_its_own_mean_iou() -> None:
    # Half of its pixels right: IoU 1/2 for the one class and 0 for the one that was only predicted.
    np.testing.assert_array_equal(extremes.mean_iou_by_image(of([100, 50, -1])), [1, 0.25, np.nan])


@pytest.mark.parametrize(
    ("count", "best", "median", "worst"),
    [
        (0, [], [], []),
        (1, [], [], [4]),
        (2, [2], [], [4]),
        (3, [2], [0], [4]),
        (5, [2, 3], [0], [4, 1]),
        (99, [2, 3], [0], [4, 1]),
    ],
)
def test_best_and_worst_begin_with_the_extremes(
    count: int, best: list[int], median: list[int], worst: list[int]
) -> None:
    found = extremes.select(of([50, 30, 100, 80, 10]), count)
    assert found == {"best": best, "median": median, "worst": worst}


@given(st.lists(st.integers(-1, 100), min_size=1, max_size=30), st.integers(0, 40))
def test_no_image_comes_twice_and_none_without_a_pixel(right: list[int], count: int) -> None:
    found = extremes.select(of(right), count)
    chosen = [number for numbers in found.values() for number in numbers]
    known = [number for number, n in enumerate(right) if n >= 0]
    assert len(chosen) == len(set(chosen)) == min(count, len(known))
    assert set(chosen) <= set(known)
    scores = [[right[number] for number in found[which]] for which in ("best", "median", "worst")]
    falling = [*scores[0], *scores[1], *reversed(scores[2])]
    assert falling == sorted(falling, reverse=True)


def test_equals_come_in_the_order_of_the_split() -> None:
    assert extremes.select(of([50] * 9), 3)["best"] == [0]
