from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fcn.labels.ceiling import METHODS, measure_mask, measure_split
from fcn.records.sample import IGNORE_INDEX
from fcn.records.split import Records
from fcn.scores import metrics
from fcn.settings.data import Ceiling

K = 4
SIZES = st.tuples(st.integers(1, 41), st.integers(1, 41))
MASKS = SIZES.flatmap(
    lambda size: arrays(np.uint8, size, elements=st.sampled_from([*range(K), IGNORE_INDEX]))
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
    n = measure_mask(label, 1, K, method)
    assert lossless(n)
    assert n.sum() == (label != IGNORE_INDEX).sum()


@each_method
@hypothesis_settings(deadline=None)
@given(size=SIZES, stride=st.integers(1, 33), value=st.integers(0, K - 1))
def test_a_mask_of_one_class_loses_nothing(
    method: str, size: tuple[int, int], stride: int, value: int
) -> None:
    n = measure_mask(np.full(size, value, np.uint8), stride, K, method)
    assert n[value, value] == size[0] * size[1]


@each_method
@hypothesis_settings(deadline=None)
@given(label=MASKS, stride=st.integers(1, 33))
def test_every_size_comes_back_as_classes(method: str, label: np.ndarray, stride: int) -> None:
    made = METHODS[method](label, stride, K)
    assert made.shape == label.shape
    assert made.min() >= 0
    assert made.max() < K
    assert measure_mask(label, stride, K, method).sum() == (label != IGNORE_INDEX).sum()


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
    assert lossless(measure_mask(label, stride, K, method))


def test_nearest_takes_the_pixel_at_the_middle() -> None:
    label = [[0, 0, 1, 1], [0, 2, 1, 3]]
    assert through(label, 2, "nearest") == [[2, 2, 3, 3]] * 2


def test_nearest_takes_the_edge_where_the_middle_lies_outside() -> None:
    assert through([[0, 0, 0, 0, 3]], 4, "nearest") == [[0, 0, 0, 0, 3]]
    assert through([[1, 2]], 32, "nearest") == [[2, 2]]


def test_area_takes_the_class_with_most_pixels_that_are_known() -> None:
    label = [[1, 1, IGNORE_INDEX, IGNORE_INDEX], [0, 1, IGNORE_INDEX, 3]]
    assert through(label, 2, "area") == [[1, 1, 3, 3]] * 2


def test_area_looks_at_what_there_is_of_a_cell() -> None:
    assert through([[0, 0, 2]], 2, "area") == [[0, 0, 2]]


def test_bilinear_cuts_the_corners_that_cells_have() -> None:
    # Along each side the ramps are at 5/8, 7/8, 1, 1; a pixel needs a product above one half.
    label = np.zeros((8, 8), np.uint8)
    label[4:, 4:] = 1
    assert through(label.tolist(), 4, "nearest") == label.tolist()
    made = through(label.tolist(), 4, "bilinear")
    assert made[7] == [0] * 4 + [1] * 4
    assert made[4] == [0] * 5 + [1] * 3
    assert made == np.transpose(made).tolist()


def test_bilinear_gives_a_cell_that_is_ignored_to_its_neighbours() -> None:
    label = [[2] * 4 + [IGNORE_INDEX] * 4 + [3] * 4] * 4
    assert through(label, 4, "bilinear")[0] == [2] * 6 + [3] * 6
    assert through(label, 4, "nearest")[0] == [2] * 4 + [0] * 4 + [3] * 4


@each_method
def test_nothing_known_counts_nothing(method: str) -> None:
    assert measure_mask(np.full((5, 7), IGNORE_INDEX, np.uint8), 4, K, method).sum() == 0


@each_method
@hypothesis_settings(deadline=None)
@given(label=MASKS, stride=st.integers(1, 33))
def test_a_coarse_mask_holds_no_class_that_the_mask_does_not(
    method: str, label: np.ndarray, stride: int
) -> None:
    made = set(np.unique(METHODS[method](label, stride, K)).tolist())
    assert made <= {0, *np.unique(label).tolist()}


@each_method
def test_all_masks_of_a_split_are_counted_whoever_measures_them(
    method: str, small_records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = [example.label for example in Records(small_records, "train")]
    expected = {
        s: sum(measure_mask(mask, s, 11, method) for mask in masks).tolist() for s in (8, 3)
    }
    for part, worker_count in ((64, 1), (5, 2)):
        monkeypatch.setattr("fcn.labels.ceiling.MASKS_PER_TASK", part)
        found = measure_split(small_records, "train", [8, 3], method, worker_count)
        assert {stride: n.tolist() for stride, n in found.items()} == expected


@each_method
def test_more_stride_keeps_less_of_real_masks(method: str, small_records: Path) -> None:
    found = measure_split(small_records, "train", (32, 16, 8, 4, 1), method, 1)
    kept = [metrics.mean_iou(n) for n in found.values()]
    assert kept == sorted(kept)
    assert kept[-1] == 1


def test_the_settings_allow_exactly_these_methods() -> None:
    allowed = Ceiling.model_fields["method"].annotation
    assert set(get_args(allowed)) == set(METHODS)
