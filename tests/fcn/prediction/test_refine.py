import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn.prediction import refine


def blurred(truth: np.ndarray, by: int) -> np.ndarray:
    """Probabilities of two classes whose edge is drawn out over `by` columns and moved by one."""
    kernel = np.ones(by) / by
    rows = [np.convolve(row, kernel, "same") for row in np.pad(truth, ((0, 0), (by, by)), "edge")]
    sure = np.roll(np.stack(rows), 1, axis=1)[:, by:-by]
    return np.stack([1 - sure, sure], axis=-1)


def test_an_edge_moves_to_where_the_picture_has_it() -> None:
    truth = np.zeros((24, 40))
    truth[:, 20:] = 1
    image = (40 + 180 * truth).astype(np.uint8)[..., None]
    before = blurred(truth, 8)
    after = refine.refine(image, before)
    assert (before.argmax(-1) != truth).any()
    np.testing.assert_array_equal(after.argmax(-1), truth)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_even_picture_only_smooths(channels: int, rng: np.random.Generator) -> None:
    sure = rng.dirichlet(np.ones(3), size=(20, 30))
    after = refine.refine(np.full((20, 30, channels), 90, np.uint8), sure)
    assert after.std() < sure.std()
    assert np.isfinite(after).all()


@given(
    st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3]), st.integers(2, 21), st.data()
)
def test_it_keeps_sizes_and_sums(
    height: int, width: int, channels: int, classes: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    image = rng.integers(256, size=(height, width, channels)).astype(np.uint8)
    sure = rng.dirichlet(np.ones(classes), size=(height, width)).astype(np.float16)
    after = refine.refine(image, sure)
    assert after.shape == sure.shape
    np.testing.assert_allclose(after.sum(-1), sure.sum(-1, dtype=np.float32), atol=0.02)


def test_what_is_certain_stays() -> None:
    image = np.random.default_rng(1).integers(256, size=(9, 9, 3)).astype(np.uint8)
    sure = np.zeros((9, 9, 4), np.float16)
    sure[..., 2] = 1
    assert (refine.refine(image, sure).argmax(-1) == 2).all()
