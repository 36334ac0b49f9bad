import numpy as np
import pytest

from fcn.records.record import Records
from fcn.training import class_weights

CLASSES = ("sky", "road", "car")
ROWS = [{"pixels": [60, 40, 0]}, {"pixels": [0, 90, 10]}, {"pixels": [50, 50, 0]}]


def test_without_wishes_there_are_no_weights() -> None:
    assert class_weights.weights(None, CLASSES, ROWS) is None


def test_median_frequency_is_the_median_over_the_share_where_the_class_is() -> None:
    # sky: 110 of 200, road: 180 of 300, car: 10 of 100; the median is 0.55.
    expected = [0.55 / 0.55, 0.55 / 0.6, 0.55 / 0.1]
    assert class_weights.weights("median-frequency", CLASSES, ROWS) == pytest.approx(expected)


def test_a_class_without_a_pixel_counts_0_and_moves_no_median() -> None:
    pixels = np.array([[60, 40, 0, 0], [0, 90, 10, 0], [50, 50, 0, 0]])
    with_fourth = class_weights.median_frequency(pixels)
    assert with_fourth[3] == 0
    np.testing.assert_array_equal(with_fourth[:3], class_weights.median_frequency(pixels[:, :3]))


def test_balanced_every_class_weighs_as_its_share_of_its_images_is_the_median() -> None:
    pixels = np.random.default_rng(1).integers(1, 1000, size=(20, 5))
    weighed = class_weights.median_frequency(pixels) * pixels.sum(axis=0) / pixels.sum()
    np.testing.assert_allclose(weighed, weighed[0])


def test_weights_by_name_leave_the_others_at_1() -> None:
    assert class_weights.weights({"car": 4.0, "sky": 0.0}, CLASSES, ROWS) == (0.0, 1.0, 4.0)


def test_a_list_is_taken_as_it_is() -> None:
    assert class_weights.weights((1.0, 2.0, 3.0), CLASSES, ROWS) == (1.0, 2.0, 3.0)


def test_another_class_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"class_weights: no class 'cat'; did you mean 'car'\?"):
        class_weights.weights({"cat": 1.0}, CLASSES, ROWS)


def test_another_number_of_weights_is_refused_with_the_classes() -> None:
    with pytest.raises(ValueError, match=r"got 2 weights, allowed: .* 3 classes \(sky, road, car"):
        class_weights.weights((1.0, 2.0), CLASSES, ROWS)


def test_the_index_of_real_records_is_enough(small_records: object) -> None:
    split = Records(small_records, "train")  # type: ignore[arg-type]
    weights = class_weights.weights("median-frequency", split.labels.classes, split.rows)
    pixels = np.array([np.bincount(e.label.ravel(), minlength=11)[:11] for e in split])
    assert weights == pytest.approx(class_weights.median_frequency(pixels))
    assert weights is not None
    assert weights[0] == min(w for w in weights if w)  # the background is everywhere
