"""What two splits must not share: ids, images, near-identical images, groups.

Each rule compares every split with the splits before it and names the later example. Overlaps that
a data set's file declares (`fcn.records.sample`) are accepted by `fcn.labels.check`, and
counted.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import imagehash
import numpy as np
from PIL import Image

from fcn.labels.rules import Rows, Severity
from fcn.records.index import IndexRow

SIDE = 32
"""Height and width of a thumbnail in pixels."""
ALIKE = 0.98
"""Minimum correlation of two thumbnails of the same picture. Hashes alone confuse sparse canvases;
re-encoded, rescaled or brightened copies correlate above 0.99."""
BLOCK = 1 << 21
"""Pairs of hashes compared at once: 16 MiB."""
CANDIDATES = 1 << 11
"""Pairs of thumbnails compared at once: 16 MiB."""


@dataclass(frozen=True)
class Appearances:
    """Hashes and thumbnails of N images, in the order of the index."""

    hashes: np.ndarray
    """uint64 N: difference hashes (`imagehash.dhash`). `phash` would import SciPy, one second
    for each worker."""
    thumbnails: np.ndarray
    """uint8 N 32 32, grey."""


@dataclass(frozen=True)
class Leak:
    """An example that is similar to one of another split."""

    row: IndexRow
    other: IndexRow
    message: str


def appearance(image: np.ndarray) -> tuple[int, np.ndarray]:
    """Return the perceptual hash (64 bits) and the grey thumbnail of an image uint8 H W C."""
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) if small.ndim == 3 else small
    bits = imagehash.dhash(Image.fromarray(grey)).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big"), grey


def same_id(rows: Rows, appearances: Appearances, bits: int) -> Iterator[Leak]:
    """No id is in two splits."""
    for row, other in _shared(rows, lambda row: [row.id]):
        yield Leak(row, other, f"split {other.split} has this id too")


def same_image(rows: Rows, appearances: Appearances, bits: int) -> Iterator[Leak]:
    """No image is in two splits, byte for byte."""
    for row, other in _shared(rows, lambda row: [row.image_sha256]):
        yield Leak(row, other, f"the same image is {_name(other)}")


def same_group(rows: Rows, appearances: Appearances, bits: int) -> Iterator[Leak]:
    """No group (source digit, video sequence) has examples in two splits."""
    for row, other in _shared(rows, lambda row: row.group):
        common = sorted(set(row.group) & set(other.group))
        yield Leak(row, other, f"shares {', '.join(common)} with {_name(other)}")


def near_image(rows: Rows, appearances: Appearances, bits: int) -> Iterator[Leak]:
    """No image is near one of another split: hashes within `bits`, thumbnails correlated.

    The nearest example of each other split is named. Images that are the same byte for byte are
    left to `same_image`.
    """
    numbers = {
        split: np.array([n for n, row in enumerate(rows) if row.split == split])
        for split in dict.fromkeys(row.split for row in rows)
    }
    for before, after in combinations(numbers, 2):
        nearest: dict[int, tuple[int, float, int]] = {}
        for n, m, distance, likeness in _close(appearances, numbers[before], numbers[after], bits):
            if rows[n].image_sha256 != rows[m].image_sha256:
                nearest[m] = min(nearest.get(m, (65, 0.0, -1)), (distance, -likeness, n))
        for m, (distance, likeness, n) in sorted(nearest.items()):
            message = f"looks like {_name(rows[n])} ({distance} of 64 bits, r {-likeness:.3f})"
            yield Leak(rows[m], rows[n], message)


LEAKAGE_RULES: dict[str, tuple[Severity, Callable[[Rows, Appearances, int], Iterator[Leak]]]] = {
    "same_id": ("error", same_id),
    "same_image": ("error", same_image),
    "near_image": ("error", near_image),
    "same_group": ("error", same_group),
}


def _shared(
    rows: Rows, keys: Callable[[IndexRow], Sequence[str]]
) -> Iterator[tuple[IndexRow, IndexRow]]:
    """Yield pairs of rows of different splits that share a key: each later row once per split."""
    first: dict[str, dict[str, IndexRow]] = {}
    for row in rows:
        others: dict[str, IndexRow] = {}
        for key in keys(row):
            of_key = first.setdefault(key, {})
            of_key.setdefault(row.split, row)
            for split, other in of_key.items():
                others.setdefault(split, other)
        yield from ((row, other) for split, other in others.items() if split != row.split)


def _close(
    appearances: Appearances, first: np.ndarray, second: np.ndarray, bits: int
) -> Iterator[tuple[int, int, int, float]]:
    """Yield n of `first`, m of `second`, bits and correlation of all similar pairs."""
    step = max(1, BLOCK // len(second))
    for start in range(0, len(first), step):
        block = first[start : start + step]
        distance = np.bitwise_count(
            appearances.hashes[block, None] ^ appearances.hashes[None, second]
        )
        i, j = np.nonzero(distance <= bits)
        for part in range(0, len(i), CANDIDATES):
            few = slice(part, part + CANDIDATES)
            n, m = block[i[few]], second[j[few]]
            r = correlation(appearances.thumbnails[n], appearances.thumbnails[m])
            alike = r >= ALIKE
            close = distance[i[few], j[few]]
            yield from zip(*(a[alike].tolist() for a in (n, m, close, r)), strict=True)


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the correlation of N pairs of thumbnails, float32 N; 1 for two without contrast."""
    a, b = (t.reshape(len(t), -1).astype(np.float32) for t in (first, second))
    a -= a.mean(axis=1, keepdims=True)
    b -= b.mean(axis=1, keepdims=True)
    size, other = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    flat = (size < 1) & (other < 1)
    together = np.maximum(size, 1) * np.maximum(other, 1)
    return np.where(flat, np.float32(1), (a * b).sum(axis=1) / together)


def _name(row: IndexRow) -> str:
    return f"{row.id} of split {row.split}"
