"""Draw single digits on canvases: M2NIST's way from a classification set to a segmentation set.

Farhan Ahmad, "Rediscovering Semantic Segmentation" (2018): 28x28 digits on 64x84 canvases that do
not overlap. Two things differ from its generator, on purpose: one, two and three digits come
equally often (there a third digit fits only one time in ten), and the source digits of the splits
are disjoint (there all splits draw from one pool).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

HEIGHT, WIDTH = 64, 84
"""Canvas, in pixels."""
SIDE = 28
"""A digit's box, in pixels."""
MOST = 3
"""Digits on the fullest canvas."""


@dataclass(frozen=True)
class Digits:
    """Source digits: grey images N 28 28 uint8, values N, numbers in the source N."""

    images: np.ndarray
    values: np.ndarray
    numbers: np.ndarray

    def take(self, indices: np.ndarray) -> "Digits":
        """Return the digits at `indices`."""
        return Digits(self.images[indices], self.values[indices], self.numbers[indices])


def pools(digits: Digits, shares: dict[str, float], seed: int) -> dict[str, Digits]:
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


def canvases(
    pool: Digits, count: int, ink: int, seed: list[int]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield `count` canvases: image H W, mask H W (0 is background, 1 + value a digit), indices.

    A pixel belongs to its digit where the digit's grey exceeds `ink`. Places are uniform over all
    placements whose boxes do not overlap; the indices say which digits of the pool were drawn.
    """
    rng = np.random.default_rng(seed)
    for digits_here in rng.permutation(1 + np.arange(count) % MOST):
        chosen = rng.choice(len(pool.values), digits_here, replace=False)
        image = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        for index, (top, left) in zip(chosen, _places(digits_here, rng), strict=True):
            box = np.s_[top : top + SIDE, left : left + SIDE]
            image[box] = pool.images[index]
            mask[box] = np.where(pool.images[index] > ink, 1 + pool.values[index], 0)
        yield image, mask, chosen


def _places(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the top left corners (count, 2) of boxes that do not overlap, by rejection."""
    while True:
        corners = rng.integers((HEIGHT - SIDE + 1, WIDTH - SIDE + 1), size=(count, 2))
        apart = np.abs(corners[:, None] - corners[None]).max(axis=-1) >= SIDE
        if apart[np.triu_indices(count, 1)].all():
            return corners
