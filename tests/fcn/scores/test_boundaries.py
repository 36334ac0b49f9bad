"""Bands and boundaries: against distances measured pixel by pixel and against erosion."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from fcn.records.sample import IGNORE_INDEX
from fcn.scores import boundaries, metrics
from fcn.scores.boundaries import WIDTHS

K = 4


@st.composite
def blobs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction of a few pixels each way, grown so that regions have an inside."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    grow = np.ones(draw(st.tuples(st.integers(1, 15), st.integers(1, 15))), np.uint8)
    truth = draw(arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, IGNORE_INDEX])))
    prediction = draw(arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2])))
    return np.kron(truth, grow), np.kron(prediction, grow)


def band_by_definition(truth: np.ndarray, width: int) -> np.ndarray:
    """Pixels nearer than `width` to one that has an 8-neighbour of another value."""
    edges = np.zeros(truth.shape, bool)
    for row, column in np.ndindex(truth.shape):
        around = truth[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        edges[row, column] = (around != truth[row, column]).any()
    if not edges.any():
        return edges
    near: np.ndarray = ndimage.distance_transform_edt(~edges) < width
    return near


@hypothesis_settings(deadline=None, max_examples=50)
@given(maps=blobs())
def test_bands_hold_the_pixels_near_an_edge(maps: tuple[np.ndarray, np.ndarray]) -> None:
    truth, prediction = maps
    found = boundaries.trimap_areas(truth, prediction, K)
    assert found.dtype == np.int64
    for counted, width in zip(found, WIDTHS, strict=True):
        inside = np.where(band_by_definition(truth, width), truth, IGNORE_INDEX)
        expected = metrics.areas(metrics.confusion_matrix(inside, prediction, K))
        np.testing.assert_array_equal(counted, expected)


@hypothesis_settings(deadline=None)
@given(maps=blobs())
def test_wider_bands_hold_all_of_narrower_ones(maps: tuple[np.ndarray, np.ndarray]) -> None:
    assert (np.diff(boundaries.trimap_areas(*maps, K), axis=0) >= 0).all()


def test_a_straight_edge_has_a_band_of_as_many_pixels_to_either_side() -> None:
    truth = np.zeros((10, 200), np.uint8)
    truth[:, 100:] = 1
    for counted, width in zip(boundaries.trimap_areas(truth, truth, 2), WIDTHS, strict=True):
        assert counted[1].tolist() == [10 * width, 10 * width]


def test_void_is_where_objects_end() -> None:
    """VOC's void strip lies between an object and its background: their band begins beside it."""
    truth = np.zeros((4, 60), np.uint8)
    truth[:, 28:32], truth[:, 32:] = IGNORE_INDEX, 1
    right, all_pixels, _ = boundaries.trimap_areas(
        truth, np.where(truth == IGNORE_INDEX, 0, truth), 2
    )[0]
    assert all_pixels.tolist() == right.tolist() == [4, 4]


def inner_by_erosion(mask: np.ndarray) -> np.ndarray:
    """The inner boundary of one class, as bowenc0221/boundary-iou-api describes it."""
    depth = max(1, round(boundaries.DILATION * float(np.hypot(*mask.shape))))
    rimmed = np.pad(mask.astype(np.uint8), 1)
    eroded = cv2.erode(rimmed, np.ones((3, 3), np.uint8), iterations=depth)
    return mask & (eroded[1:-1, 1:-1] == 0)


@hypothesis_settings(deadline=None)
@given(maps=blobs())
def test_boundaries_of_all_classes_at_once_are_those_of_each(
    maps: tuple[np.ndarray, np.ndarray],
) -> None:
    truth, prediction = maps
    right, of_truth, of_prediction = boundaries.boundary_areas(truth, prediction, K)
    for label in range(K):
        ours, theirs = inner_by_erosion(truth == label), inner_by_erosion(prediction == label)
        counted = truth != IGNORE_INDEX
        assert of_truth[label] == ours.sum()
        assert of_prediction[label] == (theirs & counted).sum()
        assert right[label] == (ours & theirs & counted).sum()


def test_a_large_image_has_a_deep_boundary() -> None:
    truth = np.zeros((300, 400), np.uint8)  # a diagonal of 500: 10 pixels
    assert boundaries.boundary_areas(truth, truth, 2)[1, 0] == 300 * 400 - 280 * 380


def test_a_mask_that_is_one_pixel_too_large_loses_more_at_its_boundary_than_inside() -> None:
    truth = np.zeros((200, 200), np.uint8)
    truth[50:150, 50:150] = 1
    grown = cv2.dilate(truth, np.ones((3, 3), np.uint8))
    boundary = boundaries.boundary_iou(boundaries.boundary_areas(truth, grown, 2)[None])
    mask = metrics.mean_iou(metrics.confusion_matrix(truth, grown, 2))
    assert boundary is not None
    assert boundary < mask - 0.1
    assert boundaries.boundary_iou(boundaries.boundary_areas(truth, truth, 2)[None]) == 1


def test_scores_add_up_over_images_before_they_divide() -> None:
    areas = np.array([[[1, 0], [2, 0], [3, 0]], [[5, 0], [6, 0], [5, 0]]])
    assert boundaries.boundary_iou(areas) == pytest.approx(6 / (8 + 8 - 6))
    bands = np.repeat(areas[:, None], len(WIDTHS), axis=1)
    widths = [str(width) for width in WIDTHS]
    assert boundaries.trimap_iou(bands) == pytest.approx(dict.fromkeys(widths, 6 / 10))
    assert boundaries.trimap_accuracy(bands) == pytest.approx(dict.fromkeys(widths, 6 / 8))


def test_where_there_is_no_edge_there_is_no_band() -> None:
    truth = np.zeros((5, 5), np.uint8)
    bands = boundaries.trimap_areas(truth, truth, 2)[None]
    assert not bands.any()
    assert set(boundaries.trimap_iou(bands).values()) == {None}
    assert set(boundaries.trimap_accuracy(bands).values()) == {None}


def test_an_image_without_a_known_pixel_counts_nothing() -> None:
    truth, prediction = np.full((5, 5), IGNORE_INDEX, np.uint8), np.zeros((5, 5), np.uint8)
    assert not boundaries.trimap_areas(truth, prediction, 2).any()
    counted = boundaries.boundary_areas(truth, prediction, 2)
    assert not counted.any()
    assert boundaries.boundary_iou(counted[None]) is None
