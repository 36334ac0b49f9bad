import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn.inference import tiles
from fcn.inference.tiles import LEAST, MARGIN, STRIDE


@given(length=st.integers(1, 5000), steps=st.integers(0, 40))
def test_tiles_cover_each_pixel_once_and_keep_away_from_their_borders(
    length: int, steps: int
) -> None:
    tile = LEAST + STRIDE * steps
    found = tiles.spans(length, tile)
    assert [span.first for span in found] == [0, *(span.last for span in found[:-1])]
    assert found[-1].last == length
    for span in found:
        assert span.start % STRIDE == 0
        assert 0 <= span.start <= span.first < span.last <= span.stop <= length
        assert span.stop - span.start <= tile
        assert span.first == 0 or span.first - span.start >= MARGIN
        assert span.last == length or span.stop - span.last >= MARGIN


@pytest.mark.parametrize("tile", [0, -32, LEAST - STRIDE, LEAST + 1])
def test_a_tile_that_keeps_nothing_or_breaks_the_grid_is_refused(tile: int) -> None:
    with pytest.raises(ValueError, match=f"tile: got {tile}, allowed: multiples of 64 from"):
        tiles.spans(1000, tile)


def test_a_network_that_sees_no_farther_than_the_margin_says_the_same_in_tiles(
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

    whole = network(image[None])[0]
    joined = np.full_like(whole, np.nan)
    for rows, columns, part in tiles.forward(network, image, LEAST + 3 * STRIDE):
        joined[rows, columns] = part
    np.testing.assert_allclose(joined, whole, rtol=1e-4)
