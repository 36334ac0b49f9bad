"""Test-time augmentation: each transformation is inverted and the predictions are averaged."""

import keras
import numpy as np
import pytest

from fcn.inference import forward, tiles, tta
from fcn.network import build, layers
from fcn.records.record import DecodedSample

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.fixture(scope="module")
def pixels(keras_ready: None) -> keras.Model:
    """A network whose logits at a pixel come from that pixel alone."""
    keras.utils.set_random_seed(4)
    images = keras.Input((None, None, 3))
    scaled = keras.layers.Rescaling(1 / 255)(images)
    return keras.Model(images, keras.layers.Conv2D(4, 1)(scaled))


@pytest.fixture(scope="module")
def neighbours(keras_ready: None) -> keras.Model:
    """A network that sees what is left of a pixel."""
    images = keras.Input((None, None, 1))
    conv = keras.layers.Conv2D(2, 3, padding="same", use_bias=False)
    model = keras.Model(images, conv(images))
    kernel = np.zeros((3, 3, 1, 2), np.float32)
    kernel[1, 0, 0, 1] = 1
    conv.set_weights([kernel])
    return model


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.softmax(logits))


def test_without_augmentation_the_model_is_returned(pixels: keras.Model) -> None:
    assert tta.with_augmentation(pixels) is pixels


def test_a_mirrored_prediction_is_mirrored_back(
    pixels: keras.Model, rng: np.random.Generator
) -> None:
    images = rng.integers(0, 256, (2, 5, 7, 3)).astype(np.float32)
    both = tta.with_augmentation(pixels, flip=True).predict_on_batch(images)
    # Each pixel is seen twice in the same way.
    np.testing.assert_allclose(softmax(both), softmax(pixels.predict_on_batch(images)), atol=1e-5)


def test_the_mean_is_over_both_predictions(
    neighbours: keras.Model, rng: np.random.Generator
) -> None:
    images = rng.integers(0, 4, (1, 4, 6, 1)).astype(np.float32)
    both = tta.with_augmentation(neighbours, flip=True).predict_on_batch(images)
    one = softmax(neighbours.predict_on_batch(images))
    other = softmax(neighbours.predict_on_batch(images[:, :, ::-1]))[:, :, ::-1]
    np.testing.assert_allclose(softmax(both), (one + other) / 2, atol=1e-5)
    assert not np.allclose(one, other)


@pytest.mark.parametrize("size", [(8, 12), (1, 1), (7, 5), (37, 41)])
def test_every_scale_comes_back_to_the_images_size(
    pixels: keras.Model, size: tuple[int, int]
) -> None:
    images = np.full((1, *size, 3), 77, np.float32)
    several = tta.with_augmentation(pixels, scales=(0.5, 1.0, 1.75), flip=True).predict_on_batch(
        images
    )
    assert several.shape == (1, *size, 4)
    # An even picture looks the same at every scale.
    np.testing.assert_allclose(
        softmax(several), softmax(pixels.predict_on_batch(images)), atol=1e-5
    )


def test_images_of_several_sizes_are_resized_in_one_traced_network(
    pixels: keras.Model, rng: np.random.Generator
) -> None:
    several = tta.with_augmentation(pixels, scales=(0.5, 1.0, 1.75))
    for height, width in ((8, 12), (7, 5), (37, 41)):
        images = rng.integers(0, 256, (1, height, width, 3)).astype(np.float32)
        expected = np.asarray(several(images))
        np.testing.assert_allclose(several.predict_on_batch(images), expected, atol=1e-5)


def test_tiles_answer_as_the_whole_image_does(
    pixels: keras.Model, rng: np.random.Generator
) -> None:
    height, width = tiles.LEAST + 45, 2 * tiles.LEAST + 3
    image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    example = [DecodedSample("large", image, np.zeros((height, width), np.uint8))]
    ((_, whole),) = forward.predict_with_confidence(pixels, example, 1, 0.3)
    ((_, tiled),) = forward.predict_with_confidence(pixels, example, 1, 0.3, window=tiles.LEAST)
    np.testing.assert_array_equal(tiled.mask, whole.mask)
    np.testing.assert_array_equal(tiled.thresholded, whole.thresholded)
    np.testing.assert_allclose(tiled.confidence, whole.confidence, atol=1e-6)


def test_tiles_of_a_network_that_resizes_begin_on_the_grid_of_its_own_input(
    pixels: keras.Model, rng: np.random.Generator
) -> None:
    images = keras.Input((None, None, 3))
    coarse = keras.layers.AveragePooling2D(tiles.STRIDE)(pixels(layers.AreaResize(0.5)(images)))
    network = keras.Model(images, keras.layers.UpSampling2D(2 * tiles.STRIDE)(coarse))
    mirrored = tta.with_augmentation(network, flip=True)
    assert build.resize_factor(network) == build.resize_factor(mirrored) == 0.5
    height, width = 14 * tiles.STRIDE, 18 * tiles.STRIDE
    image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    example = [DecodedSample("large", image, np.zeros((height, width), np.uint8))]
    ((_, whole),) = forward.predict_with_confidence(network, example, 1, 0.3)
    ((_, tiled),) = forward.predict_with_confidence(
        network, example, 1, 0.3, window=2 * tiles.LEAST
    )
    np.testing.assert_array_equal(tiled.mask, whole.mask)
