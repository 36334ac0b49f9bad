"""Scores, upsampling and fusing as they start."""

import keras
import numpy as np
import pytest
from keras import ops

from fcn.network.decoder import Decoder, Features
from fcn.network.layers import CropLike

pytestmark = pytest.mark.usefixtures("seeded")
STRIDES = [2, 4, 8, 16, 32]


def upsampled(scores: np.ndarray, stride: int, height: int, width: int) -> np.ndarray:
    """Scores through an upsampling layer as it starts, cropped to height and width."""
    coarse = keras.Input((None, None, scores.shape[-1]))
    like = keras.Input((None, None, 1))
    decoder = Decoder(scores.shape[-1])
    up = decoder.upsample(coarse, stride, "up")
    model = keras.Model([coarse, like], CropLike()([up, like]))
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


def test_scores_start_at_zero() -> None:
    features = keras.Input((None, None, 4))
    model = keras.Model(features, Decoder(3).score(features, "score"))
    got = ops.convert_to_numpy(model(np.ones((1, 2, 2, 4))))
    assert got.shape == (1, 2, 2, 3)
    assert not got.any()


def test_fusing_adds() -> None:
    coarse, fine = keras.Input((None, None, 1)), keras.Input((None, None, 1))
    model = keras.Model([coarse, fine], Decoder(1).fuse(coarse, fine, "fuse"))
    maps = [np.full((1, 2, 3, 1), value) for value in (2.0, 3.0)]
    assert (ops.convert_to_numpy(model(maps)) == 5).all()


@pytest.mark.parametrize(
    ("upsampling", "starts"),
    [
        (None, ["bilinear", "random"]),
        ("random", ["random", "random"]),
        ("bilinear", ["bilinear", "bilinear"]),
        ({"one": "random"}, ["random", "random"]),
        ({"other": "bilinear"}, ["bilinear", "bilinear"]),
    ],
    ids=str,
)
def test_upsampling_starts_as_in_the_settings_or_as_in_the_heads_source(
    upsampling, starts: list[str]
) -> None:
    x = keras.Input((None, None, 2))
    decoder = Decoder(2, upsampling=upsampling)
    kernels = []
    for name, default in (("one", "bilinear"), ("other", "random")):
        decoder.upsample(x, 2, name, default)
        kernels.append(type(decoder.initializer(name, default)).__name__)
    assert kernels == [{"bilinear": "Bilinear", "random": "GlorotUniform"}[s] for s in starts]


def test_a_map_that_the_backbone_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="reads the map pool4, but the backbone has pool1, last"):
        Features({"pool1": None, "last": None})["pool4"]
