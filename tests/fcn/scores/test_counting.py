import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fcn.datasets.shared.dataset import IGNORE_INDEX
from fcn.scores import boundaries, counting, metrics
from fcn.scores.per_image import ARRAYS

K = 4


@hypothesis_settings(deadline=None)
@given(
    truth=arrays(np.uint8, (3, 4), elements=st.sampled_from([0, 1, 2, 3, IGNORE_INDEX])),
    likely=arrays(bool, (3, 4, K - 1)),
)
def test_likely_classes_are_counted_as_udacity_connect_does(
    truth: np.ndarray, likely: np.ndarray
) -> None:
    """Its `eval_IoU` on one-hot masks without a background channel; ours leaves void out."""
    one_hot = truth[..., None] == np.arange(1, K)
    counted = (truth != IGNORE_INDEX)[..., None]
    intersection = (one_hot & likely & counted).sum()
    union = ((one_hot | likely) & counted).sum()
    assert counting.likely_areas(truth, likely).tolist() == [intersection, union]


def test_everything_that_is_kept_is_counted(rng: np.random.Generator) -> None:
    truth = rng.choice([0, 1, 2, 3, IGNORE_INDEX], size=(20, 30)).astype(np.uint8)
    mask = rng.integers(K, size=truth.shape).astype(np.uint8)
    confidence = rng.random(truth.shape, np.float32)
    likely = rng.random((*truth.shape, K - 1)) > 0.5
    found = counting.count(truth, mask, confidence, likely, K)
    assert set(found) == set(ARRAYS)
    matrix, ignored = metrics.counts(truth, mask, K)
    np.testing.assert_array_equal(found["counts"], matrix)
    np.testing.assert_array_equal(found["ignored"], ignored)
    np.testing.assert_array_equal(found["bands"], boundaries.bands(truth, mask, K))
    np.testing.assert_array_equal(found["boundary"], boundaries.boundary(truth, mask, K))
    pixels, right, sure = found["confidence"]
    assert pixels.sum() == (truth != IGNORE_INDEX).sum()
    assert right.sum() == (truth == mask).sum()
    np.testing.assert_allclose(sure.sum(), confidence[truth != IGNORE_INDEX].sum(dtype=float))


def test_an_image_of_one_pixel_is_counted() -> None:
    one = np.ones((1, 1), np.uint8)
    found = counting.count(one, one, one.astype(np.float32), np.ones((1, 1, K - 1), bool), K)
    assert found["counts"].sum() == 1
    assert found["boundary"].sum() == 3  # the rim bounds it
    assert found["likely"].tolist() == [1, 3]
