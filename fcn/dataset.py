"""What a data set is: a value one can read, and a function that yields its pairs.

A data set is one file, `fcn/datasets/NAME.py`, with a value `DATASET`. It is found by its file's
name; there is no list to keep. `tests/contracts/test_datasets.py` asks the same of every one.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

import fcn.datasets
from fcn.text import nearest

IGNORE = 255
"""The label of pixels that no loss and no metric counts (PASCAL VOC's void)."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One file of the publisher, as it lies in `data/raw/<name>/`.

    `url` is `package:NAME/PATH`: a file that ships inside an installed Python package.
    """

    url: str
    filename: str
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        """Refuse a hash that cannot be one: a checksum that never matches protects nobody."""
        assert re.fullmatch(r"[0-9a-f]{64}", self.sha256), f"{self.filename}: malformed SHA-256"
        assert self.bytes > 0, f"{self.filename}: an archive has bytes"


@dataclass(frozen=True)
class Pair:
    """One example: an image and the class of each of its pixels.

    `image` is a file's encoded bytes (passed through untouched) or a uint8 array H W or H W 3;
    `mask` a uint8 array H W of class indices, `IGNORE` where nobody knows. `group` names what
    must not stand in two splits at once: the video sequence, the source digits.
    """

    id: str
    image: bytes | np.ndarray
    mask: np.ndarray
    group: tuple[str, ...]


@dataclass(frozen=True)
class Crop:
    """One example for a classifier: a uint8 image H W and the index of its class in `classes`."""

    image: np.ndarray
    label: int


class Pairs(Protocol):
    """`count` is what the settings promise; sets with a list of their own ignore it."""

    def __call__(self, raw: Path, split: str, count: int, seed: int) -> Iterator[Pair]:
        """Yield the pairs of `split` from the publisher's files in the folder `raw`."""


class Crops(Protocol):
    """Single objects of a split, for data sets that know them one by one."""

    def __call__(self, raw: Path, split: str, seed: int) -> Iterator[Crop]:
        """Yield the objects of `split`; no object stands in two splits."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """All that is known of a data set before any of its files is opened."""

    name: str
    title: str
    archives: tuple[Archive, ...]
    classes: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    """One RGB triple per class, for pictures and palettes."""
    channels: int
    """1 for grey images, 3 for RGB."""
    splits: tuple[str, ...]
    licence: str
    citation: str
    pairs: Pairs
    crops: Crops | None = None

    def __post_init__(self) -> None:
        """Hold the parts of the value against each other."""
        assert len(self.colours) == len(self.classes), f"{self.name}: one colour per class"
        assert len(set(self.classes)) == len(self.classes) < IGNORE, f"{self.name}: class names"
        assert self.channels in (1, 3), f"{self.name}: channels"


def names() -> list[str]:
    """Names of all data sets: the files of `fcn/datasets/`."""
    return sorted(module.name for module in pkgutil.iter_modules(fcn.datasets.__path__))


def load(name: str) -> Dataset:
    """Return the data set of the file `fcn/datasets/<name>.py`.

    Raises:
        ValueError: there is no such file.
    """
    if name not in names():
        raise ValueError(f"no data set {name!r} in fcn/datasets/; {nearest(name, names())}")
    dataset: Dataset = importlib.import_module(f"fcn.datasets.{name}").DATASET
    return dataset
