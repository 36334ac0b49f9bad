"""What a data set is: a value one can read, and a function that gives its pairs.

A data set is one file, `fcn/datasets/NAME.py`, with a value `DATASET`; `fcn.datasets.shared.catalogue` finds it by
the file's name. `tests/contracts/test_datasets.py` asks the same of every one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fcn.download.archive import Archive

IGNORE_INDEX = 255
"""The label of pixels that no loss and no metric counts (PASCAL VOC's void)."""


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Published weights, `fcn/datasets/pretrained/NAME.py`: a value `PRETRAINED`."""

    title: str
    archives: tuple[Archive, ...]
    licence: str
    citation: str


@dataclass(frozen=True)
class Note:
    """What reading a source's mask revealed; `fcn.labels.check` judges it by the rule's severity."""

    rule: str
    message: str


@dataclass(frozen=True)
class Pair:
    """One example: an image and the class of each of its pixels.

    `image` is a file's encoded bytes (passed through untouched) or a uint8 array H W or H W 3;
    `mask` a uint8 array H W of class indices, `IGNORE_INDEX` where nobody knows. `group` names what
    must not stand in two splits at once: the video sequence, the source digits.
    """

    id: str
    image: bytes | np.ndarray
    mask: np.ndarray
    group: tuple[str, ...]
    notes: tuple[Note, ...] = ()
    path: Path | None = None
    """The image's file, for messages."""


class Lazy(Sequence[Pair]):
    """Pairs that are read when they are asked for: `read(items[n])`."""

    def __init__(self, items: Sequence[Any], read: Callable[[Any], Pair]) -> None:
        """Keep what to read and how."""
        self.items, self.read = items, read

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.items)

    def __getitem__(self, number: Any) -> Any:
        """Return the pair `number`, or the pairs of a slice, still unread."""
        if isinstance(number, slice):
            return Lazy(self.items[number], self.read)
        return self.read(self.items[number])


@dataclass(frozen=True)
class Crop:
    """One example for a classifier: a uint8 image H W and the index of its class in `classes`."""

    image: np.ndarray
    label: int


@dataclass(frozen=True)
class Overlap:
    """A known likeness between two splits that is accepted, and printed with every number."""

    rule: str
    """The rule of `fcn.labels.leakage` that would stop the line."""
    splits: tuple[str, str]
    reason: str


class Pairs(Protocol):
    """`count` is what the settings promise; sets with a list of their own ignore it."""

    def __call__(self, raw: Path, split: str, count: int, seed: int) -> Sequence[Pair]:
        """Return the pairs of `split` from the publisher's files in the folder `raw`.

        The length is known without reading an image; sets that are not composed read lazily.

        Raises:
            ValueError: a list, an image or a mask is missing or is no picture; names the file.
        """


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
    """The lists that the data set is known to have; `folder` and VOC take others as well."""
    licence: str
    citation: str
    pairs: Pairs
    crops: Crops | None = None
    overlaps: tuple[Overlap, ...] = ()
    grows: bool = False
    """More examples than promised are welcome."""

    def __post_init__(self) -> None:
        """Hold the parts of the value against each other."""
        assert len(self.colours) == len(self.classes), f"{self.name}: one colour per class"
        assert len(set(self.classes)) == len(self.classes) < IGNORE_INDEX, (
            f"{self.name}: class names"
        )
        assert self.channels in (1, 3), f"{self.name}: channels"
