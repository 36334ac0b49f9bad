import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import confusion_matrix, jaccard_score

from fcn.records.sample import IGNORE_INDEX
from fcn.scores import metrics

K = 21  # as in PASCAL VOC: pairs of classes do not fit into the 8 bits of a mask


@st.composite
def label_maps(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction; some classes absent, some or all pixels ignored."""
    shape = draw(st.tuples(st.integers(0, 6), st.integers(1, 6)))
    classes = st.sampled_from(draw(st.lists(st.sampled_from(range(K)), min_size=1)))
    ignored = draw(
        st.sampled_from([classes, classes | st.just(IGNORE_INDEX), st.just(IGNORE_INDEX)])
    )
    truth = draw(arrays(np.uint8, shape, elements=ignored))
    prediction = draw(arrays(np.uint8, shape, elements=classes))
    return truth, prediction


MAPS = label_maps()


@hypothesis_settings(deadline=None)
@given(maps=MAPS)
def test_the_matrix_is_scikit_learns(maps: tuple[np.ndarray, np.ndarray]) -> None:
    truth, prediction = maps
    counted = truth != IGNORE_INDEX
    n = metrics.confusion_matrix(truth, prediction, K)
    assert n.dtype == np.int64
    assert n.shape == (K, K)
    assert n.sum() == counted.sum()
    if counted.any():
        expected = confusion_matrix(truth[counted], prediction[counted], labels=range(K))
        assert (n == expected).all()


@hypothesis_settings(deadline=None)
@given(maps=MAPS)
def test_iou_is_scikit_learns_where_the_class_is(maps: tuple[np.ndarray, np.ndarray]) -> None:
    truth, prediction = maps
    counted = truth != IGNORE_INDEX
    there = np.union1d(truth[counted], prediction[counted])
    iou = metrics.class_iou(metrics.confusion_matrix(truth, prediction, K))
    assert np.flatnonzero(~np.isnan(iou)).tolist() == there.tolist()
    if there.size:
        expected = jaccard_score(truth[counted], prediction[counted], labels=there, average=None)
        np.testing.assert_allclose(iou[there], expected)


@hypothesis_settings(deadline=None)
@given(maps=MAPS, others=MAPS)
def test_matrices_of_images_add_up_to_that_of_all(
    maps: tuple[np.ndarray, np.ndarray], others: tuple[np.ndarray, np.ndarray]
) -> None:
    each = [metrics.confusion_matrix(*one, K) for one in (maps, others)]
    at_once = [np.concatenate([a.ravel(), b.ravel()]) for a, b in zip(maps, others, strict=True)]
    assert (sum(each) == metrics.confusion_matrix(*at_once, K)).all()


@hypothesis_settings(deadline=None)
@given(n=arrays(np.int64, (K, K), elements=st.integers(0, 10**12)))
def test_scores_are_fractions_and_a_perfect_prediction_has_ones(n: np.ndarray) -> None:
    if not n.sum():
        n[0, 0] = 1
    assert all(0 <= value <= 1 for value in metrics.scores(n).values())
    perfect = np.diag(n.sum(axis=1))
    assert list(metrics.scores(perfect).values()) == pytest.approx([1] * len(metrics.SCORES))


HAND_COMPUTED = {
    "two classes": (
        [[3, 1], [2, 4]],
        {
            "pixel_accuracy": 7 / 10,
            "mean_accuracy": (3 / 4 + 4 / 6) / 2,
            "mean_iou": (3 / 6 + 4 / 7) / 2,
            "frequency_weighted_iou": 4 / 10 * 3 / 6 + 6 / 10 * 4 / 7,
        },
    ),
    "three classes": (
        [[5, 1, 0], [2, 2, 1], [0, 3, 6]],
        {
            "pixel_accuracy": 13 / 20,
            "mean_accuracy": (5 / 6 + 2 / 5 + 6 / 9) / 3,
            "mean_iou": (5 / 8 + 2 / 9 + 6 / 10) / 3,
            "frequency_weighted_iou": (6 * 5 / 8 + 5 * 2 / 9 + 9 * 6 / 10) / 20,
        },
    ),
    "a class that is nowhere is in no mean": (
        [[3, 0, 1], [0, 0, 0], [2, 0, 4]],
        {
            "pixel_accuracy": 7 / 10,
            "mean_accuracy": (3 / 4 + 4 / 6) / 2,
            "mean_iou": (3 / 6 + 4 / 7) / 2,
            "frequency_weighted_iou": 4 / 10 * 3 / 6 + 6 / 10 * 4 / 7,
        },
    ),
    "a class that is only predicted lowers mean IoU": (
        [[4, 0, 1], [0, 3, 0], [0, 0, 0]],
        {
            "pixel_accuracy": 7 / 8,
            "mean_accuracy": (4 / 5 + 1) / 2,
            "mean_iou": (4 / 5 + 1 + 0) / 3,
            "frequency_weighted_iou": 5 / 8 * 4 / 5 + 3 / 8 * 1,
        },
    ),
    "a class that is never found lowers both means": (
        [[2, 0], [2, 0]],
        {
            "pixel_accuracy": 1 / 2,
            "mean_accuracy": 1 / 2,
            "mean_iou": (2 / 4 + 0) / 2,
            "frequency_weighted_iou": 1 / 4,
        },
    ),
    "one class": ([[9]], dict.fromkeys(metrics.SCORES, 1.0)),
}


@pytest.mark.parametrize(("n", "scores"), HAND_COMPUTED.values(), ids=HAND_COMPUTED)
def test_scores_are_as_computed_by_hand(n: list[list[int]], scores: dict[str, float]) -> None:
    assert metrics.scores(np.array(n)) == pytest.approx(scores)


def test_rows_are_the_truth() -> None:
    n = metrics.confusion_matrix(np.array([[0, 1]]), np.array([[1, 1]]), 2)
    assert n.tolist() == [[0, 1], [0, 1]]


def test_what_is_predicted_at_ignored_pixels_does_not_matter() -> None:
    truth = np.array([0, IGNORE_INDEX, IGNORE_INDEX], np.uint8)
    n = metrics.confusion_matrix(truth, np.array([0, IGNORE_INDEX, 7], np.uint8), 2)
    assert n.tolist() == [[1, 0], [0, 0]]


def test_a_class_that_is_nowhere_has_no_iou_and_no_accuracy() -> None:
    n = np.array([[1, 0, 1], [0, 0, 0], [0, 0, 0]])
    assert np.isnan(metrics.class_iou(n)).tolist() == [False, True, False]
    assert np.isnan(metrics.class_accuracy(n)).tolist() == [False, True, True]
    assert metrics.per_class(n, ("a", "b", "c")) == {"a": 0.5, "b": None, "c": 0.0}


def test_dice_is_computed_by_hand_too() -> None:
    n = np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]])
    np.testing.assert_array_equal(metrics.class_dice(n), [6 / 9, 8 / 11, np.nan])
    assert metrics.mean_dice(n) == pytest.approx((6 / 9 + 8 / 11) / 2)


@hypothesis_settings(deadline=None)
@given(maps=MAPS)
def test_dice_follows_from_iou(maps: tuple[np.ndarray, np.ndarray]) -> None:
    n = metrics.confusion_matrix(*maps, K)
    iou = metrics.class_iou(n)
    np.testing.assert_allclose(metrics.class_dice(n), 2 * iou / (1 + iou))


@hypothesis_settings(deadline=None)
@given(maps=MAPS)
def test_what_was_predicted_on_ignored_pixels_is_counted_apart(
    maps: tuple[np.ndarray, np.ndarray],
) -> None:
    truth, prediction = maps
    _, ignored = metrics.count_pixels(truth, prediction, K)
    expected = np.bincount(prediction[truth == IGNORE_INDEX], minlength=K)
    np.testing.assert_array_equal(ignored, expected)


def test_more_pixels_of_one_pair_than_float32_holds_are_counted_one_by_one() -> None:
    pixels = metrics.MAX_EXACT + 3
    truth = np.zeros(pixels, np.uint8)
    assert metrics.count_pixels(truth, truth, 2)[0].tolist() == [[pixels, 0], [0, 0]]
    ignored = np.full(pixels, IGNORE_INDEX, np.uint8)
    assert metrics.count_pixels(ignored, truth, 2)[1].tolist() == [pixels, 0]


def test_a_wrong_value_behind_the_first_part_is_found() -> None:
    truth = np.zeros(metrics.MAX_EXACT + 3, np.uint8)
    prediction = truth.copy()
    prediction[-1] = 7
    with pytest.raises(ValueError, match=r"prediction holds \[7\]; allowed: 0\.\.1$"):
        metrics.confusion_matrix(truth, prediction, 2)


def test_more_pixels_than_32_bits_count() -> None:
    n = np.array([[3 * 2**40, 2**40], [0, 2**40]])
    assert metrics.scores(n)["pixel_accuracy"] == pytest.approx(4 / 5)


def test_maps_of_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"truth is \(2, 3\), but the prediction is \(3, 2\)"):
        metrics.confusion_matrix(np.zeros((2, 3)), np.zeros((3, 2)), K)


@pytest.mark.parametrize(
    ("truth", "prediction", "message"),
    [
        ([0, 21, 99], [0, 0, 0], r"truth holds \[21, 99\]; allowed: 0\.\.20 and 255$"),
        ([0, -1, 0], [0, 0, 0], r"truth holds \[-1\]; allowed: 0\.\.20 and 255$"),
        ([0, 0, 0], [0, 21, 1], r"prediction holds \[21\]; allowed: 0\.\.20$"),
        ([0, 0, 0], [0, 0, 255], r"prediction holds \[255\]; allowed: 0\.\.20$"),
    ],
)
def test_what_is_no_class_is_refused_with_what_is_allowed(
    truth: list[int], prediction: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.confusion_matrix(np.array(truth), np.array(prediction), K)


def test_without_a_pixel_there_is_no_score() -> None:
    with pytest.raises(ValueError, match="no labelled pixel"):
        metrics.scores(np.zeros((K, K), np.int64))
