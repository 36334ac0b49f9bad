from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fcn import metrics, settings
from fcn.ceiling import METHODS, ceiling
from fcn.dataset import IGNORE
from fcn.records import Records

K = 4
SIZES = st.tuples(st.integers(1, 41), st.integers(1, 41))
MASKS = SIZES.flatmap(
    lambda size: arrays(np.uint8, size, elements=st.sampled_from([*range(K), IGNORE]))
)
each_method = pytest.mark.parametrize("method", METHODS)


def lossless(n: np.ndarray) -> bool:
    return bool((n == np.diag(np.diag(n))).all())


def through(label: list[list[int]], stride: int, method: str) -> list[list[int]]:
    made: list[list[int]] = METHODS[method](np.array(label, np.uint8), stride, K).tolist()
    return made


@each_method
@hypothesis_settings(deadline=None)
@given(label=MASKS)
def test_stride_1_loses_nothing(method: str, label: np.ndarray) -> None:
    n = ceiling([label], 1, K, method)
    assert lossless(n)
    assert n.sum() == (label != IGNORE).sum()


@each_method
@hypothesis_settings(deadline=None)
@given(size=SIZES, stride=st.integers(1, 33), value=st.integers(0, K - 1))
def test_a_mask_of_one_class_loses_nothing(
    method: str, size: tuple[int, int], stride: int, value: int
) -> None:
    n = ceiling([np.full(size, value, np.uint8)], stride, K, method)
    assert n[value, value] == size[0] * size[1]


@each_method
@hypothesis_settings(deadline=None)
@given(label=MASKS, stride=st.integers(1, 33))
def test_every_size_comes_back_as_classes(method: str, label: np.ndarray, stride: int) -> None:
    made = METHODS[method](label, stride, K)
    assert made.shape == label.shape
    assert made.min() >= 0
    assert made.max() < K
    assert ceiling([label], stride, K, method).sum() == (label != IGNORE).sum()


@pytest.mark.parametrize("method", ["nearest", "area"])
@hypothesis_settings(deadline=None)
@given(label=MASKS, stride=st.integers(1, 9))
def test_every_pixel_of_a_cell_is_the_same(method: str, label: np.ndarray, stride: int) -> None:
    made = METHODS[method](label, stride, K)
    for top in range(0, label.shape[0], stride):
        for left in range(0, label.shape[1], stride):
            assert len(np.unique(made[top : top + stride, left : left + stride])) == 1


@each_method
@pytest.mark.parametrize("stride", [2, 3, 4])
def test_borders_between_cells_are_kept_by_cells(method: str, stride: int) -> None:
    label = np.kron([[0, 1], [2, 3]], np.ones((stride, stride))).astype(np.uint8)
    assert lossless(ceiling([label], stride, K, method))


def test_nearest_takes_the_pixel_at_the_middle() -> None:
    label = [[0, 0, 1, 1], [0, 2, 1, 3]]
    assert through(label, 2, "nearest") == [[2, 2, 3, 3]] * 2


def test_nearest_takes_the_edge_where_the_middle_lies_outside() -> None:
    assert through([[0, 0, 0, 0, 3]], 4, "nearest") == [[0, 0, 0, 0, 3]]
    assert through([[1, 2]], 32, "nearest") == [[2, 2]]


def test_area_takes_the_class_with_most_pixels_that_are_known() -> None:
    label = [[1, 1, IGNORE, IGNORE], [0, 1, IGNORE, 3]]
    assert through(label, 2, "area") == [[1, 1, 3, 3]] * 2


def test_area_looks_at_what_there_is_of_a_cell() -> None:
    assert through([[0, 0, 2]], 2, "area") == [[0, 0, 2]]


def test_bilinear_draws_the_border_where_shares_are_equal() -> None:
    # Shares of class 1 are 0, 3/4, 1: one half is reached 2/3 of the way between the middles.
    label = [[0] * 4 + [0, 1, 1, 1] + [1] * 4] * 4
    (row,) = {tuple(line) for line in through(label, 4, "bilinear")}
    assert row == (0,) * 4 + (0,) + (1,) * 7
    assert through(label, 4, "area")[0] == [0] * 4 + [1] * 8


def test_all_masks_are_counted_in_one_matrix() -> None:
    first, second = np.zeros((3, 3), np.uint8), np.full((2, 2), 1, np.uint8)
    assert np.diag(ceiling([first, second], 2, K, "nearest")).tolist() == [9, 4, 0, 0]


@each_method
def test_more_stride_keeps_less_of_real_masks(method: str, small_records: Path) -> None:
    masks = [example.label for example in Records(small_records, "train")]
    kept = [metrics.mean_iou(ceiling(masks, stride, 11, method)) for stride in (32, 16, 8, 4, 1)]
    assert kept == sorted(kept)
    assert kept[-1] == 1


def test_the_settings_allow_exactly_these_methods() -> None:
    allowed = settings.Ceiling.model_fields["method"].annotation
    assert set(get_args(allowed)) == set(METHODS)
