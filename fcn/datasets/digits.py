"""Real handwritten digits on canvases: the data set that needs no network.

1,797 digits by 43 people, 8x8 grey values 0..16, as they ship inside scikit-learn (its
`load_digits`): the test part of "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository. They are scaled to 28x28 and drawn on 64x84 canvases by `fcn.compose`.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from fcn import compose
from fcn.dataset import Archive, Crop, Dataset, Pair

INK = 64
"""Grey (of 255) above which a pixel of a scaled digit belongs to the digit."""
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
"""Of the source digits; a digit serves one split only."""


def pairs(raw: Path, split: str, count: int, seed: int) -> Iterator[Pair]:
    """Yield `count` canvases of `split`; `group` holds the numbers of their source digits."""
    pool = compose.pools(_digits(raw), SHARES, seed)[split]
    stream = [seed, 1 + list(SHARES).index(split)]
    for number, (image, mask, drawn) in enumerate(compose.canvases(pool, count, INK, stream)):
        group = tuple(f"digit-{source:04d}" for source in sorted(pool.numbers[drawn]))
        yield Pair(f"{split}-{number:05d}", image, mask, group)


def crops(raw: Path, split: str, seed: int) -> Iterator[Crop]:
    """Yield the single digits of the pool of `split`, 28x28, with their class."""
    pool = compose.pools(_digits(raw), SHARES, seed)[split]
    for image, value in zip(pool.images, pool.values, strict=True):
        yield Crop(image, 1 + int(value))


def _digits(raw: Path) -> compose.Digits:
    """Read the package's table: 64 grey values 0..16 and the digit's value in each row."""
    table = np.loadtxt(raw / DATASET.archives[0].filename, delimiter=",", dtype=np.uint8)
    small = np.round(table[:, :64].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    # Pillow scales 8-bit images in integers: the same bytes on every processor.
    size = (compose.SIDE, compose.SIDE)
    images = [
        np.asarray(Image.fromarray(digit).resize(size, Image.Resampling.BICUBIC)) for digit in small
    ]
    return compose.Digits(np.stack(images), table[:, 64], np.arange(len(table)))


DATASET = Dataset(
    name="digits",
    title="Handwritten digits on 64x84 canvases",
    archives=(
        Archive(
            url="package:sklearn/datasets/data/digits.csv.gz",
            filename="digits.csv.gz",
            bytes=57523,
            sha256="09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
        ),
    ),
    classes=("background", *"0123456789"),
    colours=(
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
    ),
    channels=1,
    splits=tuple(SHARES),
    licence="CC BY 4.0 (UCI Machine Learning Repository)",
    citation=(
        "E. Alpaydin, C. Kaynak. Optical Recognition of Handwritten Digits. "
        "UCI Machine Learning Repository, 1998. doi:10.24432/C50P49"
    ),
    pairs=pairs,
    crops=crops,
)
