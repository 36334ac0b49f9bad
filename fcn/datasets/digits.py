"""Handwritten digits on canvases: the data set that needs no download.

1,797 digits by 43 people, 8x8 grey values 0..16, shipped inside scikit-learn
(`load_digits`): the test part of "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository. They are scaled to 28x28 and drawn on canvases of 84x64 (width x height) by
`fcn.datasets.shared.canvases`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fcn.datasets.shared import canvases
from fcn.datasets.shared.archive import Archive
from fcn.datasets.shared.dataset import Dataset
from fcn.records.sample import ObjectCrop, Sample

INK = 64
"""Grey (of 255) above which a pixel of a scaled digit belongs to the digit."""
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
"""Of the source digits; a digit is used in one split only."""


def samples(raw: Path, split: str, count: int, seed: int) -> Sequence[Sample]:
    """Return `count` canvases of `split`; `group` holds the numbers of their source digits."""
    seeds = canvases.split_seeds(DATASET.splits, split, seed)
    return canvases.samples(_pool(raw, split, seed), INK, split, count, seeds)


def object_crops(raw: Path, split: str, seed: int) -> Iterator[ObjectCrop]:
    """Yield the single digits of the pool of `split`, 28x28, with their class."""
    return canvases.object_crops(_pool(raw, split, seed))


def _pool(raw: Path, split: str, seed: int) -> canvases.DigitImages:
    return canvases.split_pools(_digits(raw), SHARES, seed)[split]


def _digits(raw: Path) -> canvases.DigitImages:
    """Read the table of the package: 64 grey values 0..16 and the digit's value in each row."""
    table = np.loadtxt(raw / DATASET.archives[0].filename, delimiter=",", dtype=np.uint8)
    small = np.round(table[:, :64].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    # Pillow scales 8-bit images in integers: the same bytes on every processor.
    size = (canvases.SIDE, canvases.SIDE)
    images = [
        np.asarray(Image.fromarray(digit).resize(size, Image.Resampling.BICUBIC)) for digit in small
    ]
    return canvases.DigitImages(np.stack(images), table[:, 64], np.arange(len(table)))


DATASET = Dataset(
    name="digits",
    title="Handwritten digits on 64x84 canvases",
    archives=(
        Archive(
            url="package:sklearn/datasets/data/digits.csv.gz",
            filename="digits.csv.gz",
            by_hand="`make setup` installs scikit-learn",
            bytes=57523,
            sha256="09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
        ),
    ),
    classes=canvases.CLASSES,
    colours=canvases.COLOURS,
    channels=1,
    splits=tuple(SHARES),
    licence="CC BY 4.0 (UCI Machine Learning Repository)",
    citation=(
        "E. Alpaydin, C. Kaynak. Optical Recognition of Handwritten Digits. "
        "UCI Machine Learning Repository, 1998. doi:10.24432/C50P49"
    ),
    samples=samples,
    object_crops=object_crops,
)
