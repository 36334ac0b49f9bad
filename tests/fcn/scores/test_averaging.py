"""Averaging conventions: by hand, against the installed tools, and against their published code."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, jaccard_score

from fcn.records.sample import IGNORE_INDEX
from fcn.scores import averaging, metrics
from fcn.scores.averaging import BERKELEY, CONVENTIONS, Convention

K = 4
IMAGES = arrays(
    np.uint8,
    st.tuples(st.integers(1, 6), st.just(2), st.integers(1, 12)),
    elements=st.sampled_from([0, 0, 1, 2, 3, IGNORE_INDEX]),
)
"""Truth and prediction of N images; often a class is in one of them only, or in neither."""


def counted(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matrices N K K and predictions on ignored pixels N K; void is never predicted."""
    truth, prediction = images[:, 0], np.where(images[:, 1] == IGNORE_INDEX, 0, images[:, 1])
    pairs = [metrics.count_pixels(t, p, K) for t, p in zip(truth, prediction, strict=True)]
    return np.stack([n for n, _ in pairs]), np.stack([void for _, void in pairs])


def by_hand(*ious: float) -> float:
    return sum(ious) / len(ious)


# Two images of three classes; class 1 is only predicted (2 pixels), class 2 is nowhere.
ABSENT = np.array([[[6, 2, 0], [0, 0, 0], [0, 0, 0]], [[4, 0, 0], [0, 0, 0], [0, 0, 0]]])
NO_VOID = np.zeros((2, 3), np.int64)


@pytest.mark.parametrize(
    ("name", "expected"),
    {
        "berkeley": by_hand(10 / 12, 0),
        "detectron2": 10 / 12,
        "zero": by_hand(10 / 12, 0, 0),
        "one": by_hand(10 / 12, 0, 1),
        "torchvision": float("nan"),
        "per image": by_hand(by_hand(6 / 8, 0), 1),
        "per image, one": by_hand(by_hand(6 / 8, 0, 1), 1),
        "per batch of 4": by_hand(10 / 12, 0),
        "void as background": by_hand(10 / 12, 0),
    }.items(),
)
def test_every_convention_is_as_computed_by_hand(name: str, expected: float) -> None:
    assert averaging.mean_iou_by_convention(ABSENT, NO_VOID)[name] == pytest.approx(
        expected, nan_ok=True
    )


def test_no_convention_is_missing_above() -> None:
    marks = test_every_convention_is_as_computed_by_hand.pytestmark  # type: ignore[attr-defined]
    assert [name for name, _ in marks[0].args[1]] == list(CONVENTIONS)


@hypothesis_settings(deadline=None)
@given(images=IMAGES)
def test_the_first_convention_is_the_tables_own(images: np.ndarray) -> None:
    matrices, ignored = counted(images)
    value = averaging.mean_iou(matrices, ignored, next(iter(CONVENTIONS.values())))
    if matrices.any():
        assert value == metrics.scores(matrices.sum(axis=0))["mean_iou"]
    else:
        assert np.isnan(value)


@hypothesis_settings(deadline=None)
@given(images=IMAGES)
def test_absent_classes_count_as_in_scikit_learn(images: np.ndarray) -> None:
    matrices, ignored = counted(images)
    known = images[:, 0] != IGNORE_INDEX
    assume(known.any())
    truth, prediction = images[:, 0][known], images[:, 1][known] % IGNORE_INDEX
    for name, value in (("zero", 0.0), ("one", 1.0)):
        expected = jaccard_score(
            truth, prediction, labels=range(K), average="macro", zero_division=value
        )
        assert averaging.mean_iou(matrices, ignored, CONVENTIONS[name]) == pytest.approx(expected)


@hypothesis_settings(deadline=None)
@given(images=IMAGES)
def test_void_as_background_is_scoring_masks_whose_void_is_0(images: np.ndarray) -> None:
    matrices, ignored = counted(images)
    zeroed = images.copy()
    zeroed[:, 0] %= IGNORE_INDEX
    convention = CONVENTIONS["void as background"]
    expected = averaging.mean_iou(*counted(zeroed), BERKELEY)
    assert averaging.mean_iou(matrices, ignored, convention) == expected
    accuracy = accuracy_score(zeroed[:, 0].ravel(), zeroed[:, 1].ravel() % IGNORE_INDEX)
    assert averaging.pixel_accuracy(matrices, ignored, convention) == pytest.approx(accuracy)


@hypothesis_settings(deadline=None)
@given(images=IMAGES, number=st.integers(1, 7))
def test_batches_are_scored_one_by_one_and_averaged(images: np.ndarray, number: int) -> None:
    matrices, ignored = counted(images)
    parts = [slice(start, start + number) for start in range(0, len(images), number)]
    each = [averaging.mean_iou(matrices[part], ignored[part], BERKELEY) for part in parts]
    value = averaging.mean_iou(matrices, ignored, replace(BERKELEY, batch=number))
    if np.isnan(each).all():
        assert np.isnan(value)
    else:
        assert value == pytest.approx(np.nanmean(each))


@hypothesis_settings(deadline=None)
@given(images=IMAGES)
def test_counting_absent_classes_0_is_never_more_than_leaving_them_out(images: np.ndarray) -> None:
    matrices, ignored = counted(images)
    if matrices.any():
        found = averaging.mean_iou_by_convention(matrices, ignored)
        assert found["zero"] <= found["berkeley"] <= found["detectron2"] + 1e-12
        assert found["zero"] <= found["one"]


def test_detectron2_passes_over_a_class_that_is_only_predicted() -> None:
    convention = Convention("detectron2", absent="left out unless in the truth")
    n = np.array([[[8, 2], [0, 0]]])
    assert averaging.mean_iou(n, n[:, 0], convention) == pytest.approx(8 / 10)
    assert averaging.mean_iou(n, n[:, 0], BERKELEY) == pytest.approx(4 / 10)


@pytest.mark.usefixtures("keras_ready")
def test_keras_leaves_absent_classes_out() -> None:
    """To its epsilon of 1e-7 per class, added to both divisors."""
    import keras

    truth, prediction = np.array([0, 0, 1, 1, 255, 0]), np.array([0, 1, 1, 1, 0, 2])
    metric = keras.metrics.MeanIoU(num_classes=5, ignore_class=255)
    metric.update_state(truth, prediction)
    n, void = metrics.count_pixels(truth, prediction, 5)
    expected = averaging.mean_iou(n[None], void[None], BERKELEY)
    assert float(metric.result()) == pytest.approx(expected, abs=1e-6)
    assert expected == pytest.approx((1 / 3 + 2 / 3 + 0) / 3)


def test_thresholded_foreground_is_averaged_over_batches() -> None:
    thresholded = np.array([[1, 2], [3, 4], [0, 0], [2, 2], [1, 10]])
    assert averaging.thresholded_iou(thresholded, batch=4) == pytest.approx((6 / 8 + 1 / 10) / 2)
    assert averaging.thresholded_iou(thresholded, batch=1) == pytest.approx(
        (1 / 2 + 3 / 4 + 1 + 1 / 10) / 4
    )


def test_thresholded_foreground_that_is_nowhere_is_no_number() -> None:
    assert np.isnan(averaging.thresholded_iou(np.zeros((3, 2), np.int64)))


def test_every_convention_says_who_uses_it_and_no_two_are_the_same() -> None:
    assert all(convention.used_by for convention in CONVENTIONS.values())
    bare = [replace(convention, used_by="") for convention in CONVENTIONS.values()]
    assert len(set(bare)) == len(bare)
