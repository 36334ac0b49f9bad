import keras
import numpy as np
import pytest
from keras import ops

from fcn.network import layers

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 9), (8, 3), (13, 16)])
def test_cropping_keeps_the_top_left_at_the_size_of_the_finer_map(height: int, width: int) -> None:
    coarse = np.arange(14 * 16 * 2, dtype=np.float32).reshape(1, 14, 16, 2)
    cropped = layers.CropLike()([coarse, np.zeros((1, height, width, 3), np.float32)])
    np.testing.assert_array_equal(ops.convert_to_numpy(cropped), coarse[:, :height, :width])


def test_the_shape_of_a_cropped_map_is_the_finer_maps_as_far_as_that_is_known() -> None:
    coarse, like = keras.Input((None, 16, 5)), keras.Input((None, 9, 1))
    assert layers.CropLike()([coarse, like]).shape == (None, None, 9, 5)


@pytest.mark.parametrize("offset", [1, 5])
def test_cropping_inside_starts_at_the_offset_which_is_saved(offset: int) -> None:
    coarse = np.arange(14 * 16, dtype=np.float32).reshape(1, 14, 16, 1)
    layer = layers.CropInside.from_config(layers.CropInside(offset).get_config())
    cropped = ops.convert_to_numpy(layer([coarse, np.zeros((1, 7, 8, 1), np.float32)]))
    np.testing.assert_array_equal(cropped, coarse[:, offset : offset + 7, offset : offset + 8])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 6), (7, 5), (33, 64)])
@pytest.mark.parametrize("factor", [0.5, 0.3, 1 / 3, 1.0, 1.5, 2.0])
def test_area_resizing_gives_the_mean_of_every_area(
    factor: float, height: int, width: int, rng: np.random.Generator
) -> None:
    images = rng.uniform(0, 255, (2, height, width, 3)).astype(np.float32)
    layer = layers.AreaResize(factor)
    got = ops.convert_to_numpy(layer(images))
    assert got.shape == layer.compute_output_shape(images.shape)
    assert got.shape[1:3] == tuple(int(np.ceil(round(factor * n, 9))) for n in (height, width))
    np.testing.assert_allclose(got.mean((1, 2)), images.mean((1, 2)), rtol=1e-4)
    # The definition: each old pixel is cut into small squares, each new one is their mean.
    fine = images.repeat(got.shape[1], axis=1).repeat(got.shape[2], axis=2)
    parts = fine.reshape(2, got.shape[1], height, got.shape[2], width, 3)
    np.testing.assert_allclose(got, parts.mean((2, 4)), rtol=1e-3, atol=1e-2)


def test_resizing_is_bilinear_to_the_size_of_the_second_map() -> None:
    small = np.array([[0.0, 4.0]], np.float32).reshape(1, 1, 2, 1)
    got = layers.ResizeLike()([small, np.zeros((1, 2, 4, 1), np.float32)])
    np.testing.assert_allclose(ops.convert_to_numpy(got)[0, :, :, 0], [[0, 1, 3, 4]] * 2)


@pytest.mark.parametrize(("size", "padded"), [(1, 12), (12, 12), (13, 16), (64, 64)])
def test_padding_adds_zeros_at_the_end_up_to_a_multiple(size: int, padded: int) -> None:
    layer = layers.PadTo(4, 12)
    got = ops.convert_to_numpy(layer(np.ones((1, size, 64, 1), np.float32)))
    assert got.shape == (1, padded, 64, 1) == layer.compute_output_shape((1, size, 64, 1))
    assert got[:, :size].all()
    assert not got[:, size:].any()
