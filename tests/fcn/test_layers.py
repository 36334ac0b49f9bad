import keras
import numpy as np
import pytest
from keras import ops

from fcn import layers

pytestmark = pytest.mark.usefixtures("seeded")
STRIDES = [2, 4, 8, 16, 32]


def upsampled(scores: np.ndarray, stride: int, height: int, width: int) -> np.ndarray:
    """Scores through an upsampling layer as it starts, cropped to height and width."""
    coarse = keras.Input((None, None, scores.shape[-1]))
    like = keras.Input((None, None, 1))
    model = keras.Model([coarse, like], layers.upsample(coarse, stride, like, "up"))
    return ops.convert_to_numpy(model([scores, np.zeros((1, height, width, 1))]))


@pytest.mark.parametrize("stride", STRIDES)
def test_upsampling_starts_as_a_bilinear_resize(stride: int, rng: np.random.Generator) -> None:
    scores = rng.normal(size=(1, 5, 6, 2)).astype(np.float32)
    size = (5 * stride, 6 * stride)
    resized = ops.convert_to_numpy(ops.image.resize(scores, size, "bilinear"))
    interior = np.s_[:, stride:-stride, stride:-stride]
    got = upsampled(scores, stride, *size)
    np.testing.assert_allclose(got[interior], resized[interior], atol=1e-5)


@pytest.mark.parametrize("stride", STRIDES)
def test_inside_a_constant_stays_the_same_constant_and_at_the_border_not(stride: int) -> None:
    got = upsampled(np.full((1, 4, 5, 1), 7, np.float32), stride, 4 * stride, 5 * stride)
    np.testing.assert_allclose(got[:, stride:-stride, stride:-stride], 7, rtol=1e-6)
    assert got[0, 0, 0, 0] < 7


def test_each_class_is_upsampled_on_its_own() -> None:
    scores = np.zeros((1, 3, 3, 3), np.float32)
    scores[..., 1] = 1
    got = upsampled(scores, 2, 6, 6)
    assert not got[..., [0, 2]].any()
    assert got[..., 1].all()


@pytest.mark.parametrize(("taps", "hat"), [(3, [0.5, 1, 0.5]), (4, [0.25, 0.75, 0.75, 0.25])])
def test_the_kernel_is_the_hat_of_both_directions(taps: int, hat: list[float]) -> None:
    kernel = ops.convert_to_numpy(layers.Bilinear()((taps, taps, 1, 1)))
    np.testing.assert_allclose(kernel[..., 0, 0], np.outer(hat, hat))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 9), (8, 3), (13, 16)])
def test_cropping_keeps_the_top_left_at_the_size_of_the_finer_map(height: int, width: int) -> None:
    coarse = np.arange(14 * 16 * 2, dtype=np.float32).reshape(1, 14, 16, 2)
    cropped = layers.CropLike()([coarse, np.zeros((1, height, width, 3), np.float32)])
    np.testing.assert_array_equal(ops.convert_to_numpy(cropped), coarse[:, :height, :width])


def test_the_shape_of_a_cropped_map_is_known_as_far_as_the_finer_maps_is() -> None:
    coarse, like = keras.Input((None, 16, 5)), keras.Input((None, 9, 1))
    assert layers.CropLike()([coarse, like]).shape == (None, None, 9, 5)


def test_scores_start_at_zero() -> None:
    features = keras.Input((None, None, 4))
    model = keras.Model(features, layers.score(features, 3, "score"))
    got = ops.convert_to_numpy(model(np.ones((1, 2, 2, 4))))
    assert got.shape == (1, 2, 2, 3)
    assert not got.any()


def test_fusing_adds() -> None:
    coarse, fine = keras.Input((None, None, 1)), keras.Input((None, None, 1))
    model = keras.Model([coarse, fine], layers.fuse(coarse, fine, "fuse"))
    maps = [np.full((1, 2, 3, 1), value) for value in (2.0, 3.0)]
    assert (ops.convert_to_numpy(model(maps)) == 5).all()
