import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn.inference.tiles import LEAST, MARGIN, STRIDE, Tiling


@given(length=st.integers(1, 5000), steps=st.integers(0, 40))
def test_tiles_cover_each_pixel_once_and_keep_away_from_their_borders(
    length: int, steps: int
) -> None:
    tile = LEAST + STRIDE * steps
    spans = Tiling(tile).spans(length)
    assert [span.first for span in spans] == [0, *(span.last for span in spans[:-1])]
    assert spans[-1].last == length
    for span in spans:
        assert span.start % STRIDE == 0
        assert 0 <= span.start <= span.first < span.last <= span.stop <= length
        assert span.stop - span.start <= tile
        assert span.first == 0 or span.first - span.start >= MARGIN
        assert span.last == length or span.stop - span.last >= MARGIN


@pytest.mark.parametrize("tile", [0, -32, LEAST - STRIDE, LEAST + 1])
def test_a_side_without_room_for_margins_or_off_the_grid_is_refused(tile: int) -> None:
    with pytest.raises(ValueError, match=f"tile: got {tile}, allowed: multiples of 64 from"):
        Tiling(tile)


@pytest.mark.parametrize("scale", [0.25, 0.464, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("length", [700, 2001])
def test_margins_and_grid_are_measured_in_the_resized_image(scale: float, length: int) -> None:
    spans = Tiling(1024, scale).spans(length)
    assert [span.first for span in spans] == [0, *(span.last for span in spans[:-1])]
    assert spans[-1].last == spans[-1].stop == length
    for span in spans:
        assert span.first == 0 or (span.first - span.start) * scale >= MARGIN - 1
        assert span.last == length or (span.stop - span.last) * scale >= MARGIN - 1
        assert abs(math.remainder(span.start * scale, STRIDE)) <= scale / 2


def test_a_network_whose_receptive_field_fits_the_margin_predicts_the_same_in_tiles(
    rng: np.random.Generator,
) -> None:
    image = rng.integers(256, size=(700, 1021, 1)).astype(np.uint8)

    def network(images: np.ndarray) -> np.ndarray:
        """Means over squares whose radius is the margin, on the coarsest grid's phase."""
        pixels = images[0].astype(np.float32)
        side = 2 * MARGIN + 1
        mean = cv2.blur(pixels, (side, side), borderType=cv2.BORDER_CONSTANT)
        mean[::STRIDE] += 1000
        return np.stack([mean, pixels[..., 0]], axis=-1)[None]

    def maps(images: np.ndarray) -> dict[str, np.ndarray]:
        return {"logits": network(images), "mask": network(images).argmax(axis=-1)}

    whole, tiled = maps(image[None]), Tiling(LEAST + 3 * STRIDE).predict(maps, image)
    np.testing.assert_allclose(tiled["logits"], whole["logits"][0], rtol=1e-4)
    np.testing.assert_array_equal(tiled["mask"], whole["mask"][0])
