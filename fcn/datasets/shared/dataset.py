"""What a data set is: a value to read, and a function that returns its samples.

A data set is one file, `fcn/datasets/NAME.py`, with a value `DATASET`.
`fcn.datasets.shared.catalogue` finds it by the file's name; `tests/contracts/test_datasets.py` runs
the same tests on every one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fcn.datasets.shared.archive import Archive
from fcn.records.sample import IGNORE_INDEX, ObjectCrop, Overlap, Sample


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Published weights, `fcn/datasets/pretrained/NAME.py`: a value `PRETRAINED`."""

    title: str
    archives: tuple[Archive, ...]
    licence: str
    citation: str


class Samples(Protocol):
    """The samples of a split. `count` is the settings' number; only composed data sets use it."""

    def __call__(self, raw: Path, split: str, count: int, seed: int) -> Sequence[Sample]:
        """Return the samples of `split` from the publisher's files in the folder `raw`.

        The length is known without reading an image; images and masks are read on access.

        Raises:
            ValueError: a list, an image or a mask is missing or is no picture; names the file.
        """


class ObjectCrops(Protocol):
    """Single objects of a split, for data sets that are composed of them."""

    def __call__(self, raw: Path, split: str, seed: int) -> Iterator[ObjectCrop]:
        """Yield the objects of `split`; no object is in two splits."""


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
    """The lists that the data set always has; `folder` and VOC take others as well."""
    licence: str
    citation: str
    samples: Samples
    object_crops: ObjectCrops | None = None
    overlaps: tuple[Overlap, ...] = ()
    grows: bool = False
    """A split may hold more samples than the settings promise."""

    def __post_init__(self) -> None:
        """Check that the fields fit together."""
        assert len(self.colours) == len(self.classes), f"{self.name}: one colour per class"
        assert len(set(self.classes)) == len(self.classes) < IGNORE_INDEX, (
            f"{self.name}: class names"
        )
        assert self.channels in (1, 3), f"{self.name}: channels"
