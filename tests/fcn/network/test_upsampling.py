"""Upsampling: its initial kernels, and its equality with a transposed convolution."""

import keras
import numpy as np
import pytest
from keras import ops

from fcn.network.upsampling import Bilinear, OddUpsample, Upsample

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.mark.parametrize(("taps", "hat"), [(3, [0.5, 1, 0.5]), (4, [0.25, 0.75, 0.75, 0.25])])
def test_the_kernel_is_the_hat_of_both_directions(taps: int, hat: list[float]) -> None:
    kernel = ops.convert_to_numpy(Bilinear()((taps, taps, 1, 1)))
    np.testing.assert_allclose(kernel[..., 0, 0], np.outer(hat, hat))


@pytest.mark.parametrize(
    ("kind", "padding", "missing"),
    [(Upsample, "same", 0), (Upsample, "valid", 0), (OddUpsample, "valid", 1)],
)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (5, 4)])
@pytest.mark.parametrize(("stride", "into", "out"), [(2, 1, 1), (3, 4, 2), (8, 3, 5)])
def test_it_equals_a_transposed_convolution(
    stride: int,
    into: int,
    out: int,
    height: int,
    width: int,
    kind: type[keras.Layer],
    padding: str,
    missing: int,
    rng: np.random.Generator,
) -> None:
    options = {"strides": stride, "padding": padding, "use_bias": False}
    layer = kind(out, 2 * stride - missing, **options)
    transposed = keras.layers.Conv2DTranspose(out, 2 * stride - missing, **options)
    scores = rng.normal(size=(2, height, width, into)).astype(np.float32)
    got = layer(scores)
    transposed.build(scores.shape)
    transposed.set_weights(layer.get_weights())
    expected = ops.convert_to_numpy(transposed(scores))
    assert got.shape == layer.compute_output_shape(scores.shape)
    np.testing.assert_allclose(ops.convert_to_numpy(got), expected, atol=1e-5)


def test_it_is_saved_with_its_settings() -> None:
    layer = Upsample(3, 4, strides=2, padding="same", use_bias=False, kernel_initializer=Bilinear())
    again = Upsample.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
