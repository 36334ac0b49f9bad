"""DigitImages drawn on canvases: a segmentation data set from a classification data set, as M2NIST.

Farhan Ahmad, "Rediscovering Semantic Segmentation" (2018): 28x28 digits on 64x84 canvases that do
not overlap. Two things differ from its generator, on purpose: one, two and three digits are equally
frequent (there a third digit fits only one time in ten), and the source digits of the splits are
disjoint (there all splits draw from one pool).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fcn.common.text import nearest
from fcn.records.sample import LazySamples, ObjectCrop, Sample

HEIGHT, WIDTH = 64, 84
"""Of a canvas, in pixels."""
SIDE = 28
"""A digit's box, in pixels."""
MOST = 3
"""DigitImages on the fullest canvas."""
CLASSES = ("background", *"0123456789")
COLOURS = (
    (0, 0, 0),
    (230, 25, 75),
    (60, 180, 75),
    (255, 225, 25),
    (67, 99, 216),
    (245, 130, 49),
    (145, 30, 180),
    (66, 212, 244),
    (240, 50, 230),
    (191, 239, 69),
    (250, 190, 212),
)


@dataclass(frozen=True)
class DigitImages:
    """Source digits: grey images N 28 28 uint8, values N, numbers in the source N."""

    images: np.ndarray
    values: np.ndarray
    numbers: np.ndarray

    def take(self, indices: np.ndarray) -> "DigitImages":
        """Return the digits at `indices`."""
        return DigitImages(self.images[indices], self.values[indices], self.numbers[indices])


def split_pools(digits: DigitImages, shares: dict[str, float], seed: int) -> dict[str, DigitImages]:
    """Split source digits into disjoint pools, each digit value in the same shares.

    `shares` are fractions that sum to 1, in the order of the splits.
    """
    assert abs(sum(shares.values()) - 1) < 1e-9, "shares sum to 1"
    rng = np.random.default_rng([seed, 0])
    members: dict[str, list[np.ndarray]] = {split: [] for split in shares}
    bounds = np.cumsum(list(shares.values()))[:-1]
    for value in np.unique(digits.values):
        order = rng.permutation(np.flatnonzero(digits.values == value))
        parts = np.split(order, np.round(bounds * len(order)).astype(int))
        for split, part in zip(shares, parts, strict=True):
            members[split].append(part)
    return {split: digits.take(np.sort(np.concatenate(parts))) for split, parts in members.items()}


def samples(
    pool: DigitImages, ink: int, split: str, count: int, seeds: list[int]
) -> Sequence[Sample]:
    """Return `count` canvases of digits from `pool`, drawn on access.

    A pixel belongs to its digit where the digit's grey exceeds `ink`; `group` holds the numbers of
    the source digits. `seeds` are the split's, from `split_seeds`.
    """

    def read(layout: "CanvasLayout") -> Sample:
        image, mask = draw_canvas(pool, layout, ink)
        numbers = sorted(pool.numbers[layout.digits])
        group = tuple(f"digit-{number:04d}" for number in numbers)
        return Sample(f"{split}-{layout.number:05d}", image, mask, group)

    return LazySamples(list(layouts(len(pool.values), count, seeds)), read)


def split_seeds(splits: Sequence[str], split: str, seed: int) -> list[int]:
    """Return the seeds of the canvases of a split.

    Raises:
        ValueError: there is no such split.
    """
    if split not in splits:
        raise ValueError(f"no split {split!r}; {nearest(split, splits)}")
    return [seed, 1 + list(splits).index(split)]


def object_crops(pool: DigitImages) -> Iterator[ObjectCrop]:
    """Yield the single digits of a pool with their class."""
    for image, value in zip(pool.images, pool.values, strict=True):
        yield ObjectCrop(image, 1 + int(value))


@dataclass(frozen=True)
class CanvasLayout:
    """Which digits of a pool are where on one canvas: indices, top left corners (digits, 2)."""

    number: int
    digits: np.ndarray
    corners: np.ndarray


def layouts(pool_size: int, count: int, seeds: list[int]) -> Iterator[CanvasLayout]:
    """Yield the layouts of `count` canvases of digits from a pool of this size.

    Positions are uniform over all placements whose boxes do not overlap.
    """
    rng = np.random.default_rng(seeds)
    for number, digits in enumerate(rng.permutation(1 + np.arange(count) % MOST)):
        chosen = rng.choice(pool_size, digits, replace=False)
        yield CanvasLayout(number, chosen, _corners(digits, rng))


def draw_canvas(pool: DigitImages, layout: CanvasLayout, ink: int) -> tuple[np.ndarray, np.ndarray]:
    """Return image H W and mask H W (0 is background, 1 + value a digit) of one canvas."""
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for index, (top, left) in zip(layout.digits, layout.corners, strict=True):
        box = np.s_[top : top + SIDE, left : left + SIDE]
        image[box] = pool.images[index]
        mask[box] = np.where(pool.images[index] > ink, 1 + pool.values[index], 0)
    return image, mask


def _corners(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the top left corners (count, 2) of boxes that do not overlap, by rejection."""
    while True:
        corners = rng.integers((HEIGHT - SIDE + 1, WIDTH - SIDE + 1), size=(count, 2))
        pairs = combinations(corners.tolist(), 2)
        if all(max(abs(a - c), abs(b - d)) >= SIDE for (a, b), (c, d) in pairs):
            return corners
