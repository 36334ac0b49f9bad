import numpy as np
import pytest

from fcn.records.split import Records
from fcn.training import class_weights
from tests.index_rows import index_row

CLASSES = ("sky", "road", "car")
ROWS = [
    index_row("train", "a", pixels=(60, 40, 0)),
    index_row("train", "b", pixels=(0, 90, 10)),
    index_row("train", "c", pixels=(50, 50, 0)),
]


def test_without_the_setting_there_are_no_weights() -> None:
    assert class_weights.compute(None, CLASSES, ROWS) is None


def test_median_frequency_divides_the_median_by_the_share_in_images_with_the_class() -> None:
    # sky: 110 of 200, road: 180 of 300, car: 10 of 100; the median is 0.55.
    expected = [0.55 / 0.55, 0.55 / 0.6, 0.55 / 0.1]
    assert class_weights.compute("median-frequency", CLASSES, ROWS) == pytest.approx(expected)


def test_a_class_without_a_pixel_gets_0_and_is_not_in_the_median() -> None:
    pixels = np.array([[60, 40, 0, 0], [0, 90, 10, 0], [50, 50, 0, 0]])
    with_fourth = class_weights.median_frequency(pixels)
    assert with_fourth[3] == 0
    np.testing.assert_array_equal(with_fourth[:3], class_weights.median_frequency(pixels[:, :3]))


def test_classes_that_are_in_every_image_get_equal_total_weight() -> None:
    pixels = np.random.default_rng(1).integers(1, 1000, size=(20, 5))
    totals = class_weights.median_frequency(pixels) * pixels.sum(axis=0) / pixels.sum()
    np.testing.assert_allclose(totals, totals[0])


def test_classes_without_a_named_weight_get_1() -> None:
    assert class_weights.compute({"car": 4.0, "sky": 0.0}, CLASSES, ROWS) == (0.0, 1.0, 4.0)


def test_a_list_is_used_unchanged() -> None:
    assert class_weights.compute((1.0, 2.0, 3.0), CLASSES, ROWS) == (1.0, 2.0, 3.0)


def test_an_unknown_class_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ValueError, match=r"class_weights: no class 'cat'; did you mean 'car'\?"):
        class_weights.compute({"cat": 1.0}, CLASSES, ROWS)


def test_a_wrong_number_of_weights_is_refused_with_the_classes() -> None:
    with pytest.raises(ValueError, match=r"got 2 weights, allowed: .* 3 classes \(sky, road, car"):
        class_weights.compute((1.0, 2.0), CLASSES, ROWS)


def test_the_index_of_records_gives_the_pixels_of_their_masks(small_records: object) -> None:
    split = Records(small_records, "train")  # type: ignore[arg-type]
    weights = class_weights.compute("median-frequency", split.labels.classes, split.rows)
    pixels = np.array([np.bincount(e.label.ravel(), minlength=11)[:11] for e in split])
    assert weights == pytest.approx(class_weights.median_frequency(pixels))
    assert weights is not None
    assert weights[0] == min(w for w in weights if w)  # the background is everywhere
