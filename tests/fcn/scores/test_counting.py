import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fcn.records.sample import IGNORE_INDEX
from fcn.scores import boundaries, counting, metrics
from fcn.scores.per_image import ARRAYS

K = 4


@hypothesis_settings(deadline=None)
@given(
    truth=arrays(np.uint8, (3, 4), elements=st.sampled_from([0, 1, 2, 3, IGNORE_INDEX])),
    thresholded=arrays(bool, (3, 4, K - 1)),
)
def test_thresholded_classes_are_counted_as_in_udacity_connect(
    truth: np.ndarray, thresholded: np.ndarray
) -> None:
    """Its `eval_IoU` on one-hot masks without a background channel; ours leaves void out."""
    one_hot = truth[..., None] == np.arange(1, K)
    counted = (truth != IGNORE_INDEX)[..., None]
    intersection = (one_hot & thresholded & counted).sum()
    union = ((one_hot | thresholded) & counted).sum()
    assert counting.thresholded_areas(truth, thresholded).tolist() == [intersection, union]


def test_every_array_is_counted(rng: np.random.Generator) -> None:
    truth = rng.choice([0, 1, 2, 3, IGNORE_INDEX], size=(20, 30)).astype(np.uint8)
    mask = rng.integers(K, size=truth.shape).astype(np.uint8)
    confidence = rng.random(truth.shape, np.float32)
    thresholded = rng.random((*truth.shape, K - 1)) > 0.5
    counts = counting.count_image(truth, mask, confidence, thresholded, K)
    assert set(counts) == set(ARRAYS)
    matrix, ignored = metrics.count_pixels(truth, mask, K)
    np.testing.assert_array_equal(counts["confusion"], matrix)
    np.testing.assert_array_equal(counts["ignored"], ignored)
    np.testing.assert_array_equal(counts["trimap"], boundaries.trimap_areas(truth, mask, K))
    np.testing.assert_array_equal(counts["boundary"], boundaries.boundary_areas(truth, mask, K))
    pixels, right, sure = counts["calibration"]
    assert pixels.sum() == (truth != IGNORE_INDEX).sum()
    assert right.sum() == (truth == mask).sum()
    np.testing.assert_allclose(sure.sum(), confidence[truth != IGNORE_INDEX].sum(dtype=float))


def test_an_image_of_one_pixel_is_counted() -> None:
    one = np.ones((1, 1), np.uint8)
    counts = counting.count_image(one, one, one.astype(np.float32), np.ones((1, 1, K - 1), bool), K)
    assert counts["confusion"].sum() == 1
    assert counts["boundary"].sum() == 3  # the image border
    assert counts["thresholded"].tolist() == [1, 3]
