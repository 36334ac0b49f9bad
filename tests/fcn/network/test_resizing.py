"""Resizing to sizes that are open while TensorFlow traces, as from the second size of images on."""

import keras
import numpy as np
import pytest
from keras import ops

from fcn.network import resizing
from fcn.network.layers import ResizeLike
from fcn.training import losses
from tests import toy

pytestmark = pytest.mark.usefixtures("seeded")


def test_open_sizes_give_the_numbers_of_keras_own_resizing(rng: np.random.Generator) -> None:
    maps, like = keras.Input((None, None, 3)), keras.Input((None, None, 1))
    model = keras.Model([maps, like], ResizeLike()([maps, like]))
    for old_height, old_width, height, width in rng.integers(1, 60, (40, 4)):
        small = rng.normal(size=(2, old_height, old_width, 3)).astype(np.float32)
        resized = model.predict_on_batch([small, np.zeros((2, height, width, 1), np.float32)])
        expected = ops.image.resize(small, (int(height), int(width)), "bilinear")
        np.testing.assert_allclose(resized, ops.convert_to_numpy(expected), atol=1e-6)


@pytest.mark.parametrize("sizes", [(1, 1), (1, 5), (5, 1), (7, 14), (14, 7), (11, 16), (300, 477)])
def test_the_written_out_arithmetic_is_keras_own_resizing(
    sizes: tuple[int, int], rng: np.random.Generator
) -> None:
    old_size, size = sizes
    maps = rng.normal(size=(2, old_size, 3, 4)).astype(np.float32)
    resized = resizing._interpolate(ops.convert_to_tensor(maps), size, axis=1)
    expected = ops.image.resize(maps, (size, 3), "bilinear")
    np.testing.assert_allclose(
        ops.convert_to_numpy(resized), ops.convert_to_numpy(expected), atol=1e-6
    )


@pytest.mark.parametrize("factor", [0.5, 0.3, 2.0])
def test_a_network_that_resizes_takes_images_of_several_sizes(
    factor: float, tiny, rng: np.random.Generator
) -> None:
    model = toy.network(tiny.model_copy(update={"resize": factor}), 1, 3)
    for height, width in ((40, 50), (33, 31), (7, 64)):
        images = rng.integers(256, size=(1, height, width, 1)).astype(np.float32)
        scores = model.predict_on_batch(images)
        expected = ops.convert_to_numpy(model(images))
        assert scores.shape == (1, height, width, 3)
        np.testing.assert_allclose(scores, expected, atol=1e-5 * np.abs(expected).max())


def test_a_network_that_resizes_learns_from_images_of_several_sizes(
    tiny, rng: np.random.Generator
) -> None:
    model = toy.network(tiny.model_copy(update={"resize": 0.5}), 1, 3)
    model.compile(keras.optimizers.SGD(1e-6), losses.pixel_cross_entropy)
    for height, width in ((40, 50), (33, 31), (36, 44)):
        before = model.get_layer("conv1_1").get_weights()[0]
        images = rng.integers(256, size=(1, height, width, 1)).astype(np.float32)
        model.train_on_batch(images, rng.integers(3, size=images.shape[:3]).astype(np.uint8))
        after = model.get_layer("conv1_1").get_weights()[0]
        assert np.isfinite(after).all()
        assert (after != before).any()
