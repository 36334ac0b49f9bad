"""A sample: an image and its mask. What a data set gives and what records hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

IGNORE_INDEX = 255
"""The label of pixels that no loss and no metric counts (PASCAL VOC's void)."""


@dataclass(frozen=True)
class Note:
    """An oddity of a source's mask; `fcn.labels.check` reports it with the rule's severity."""

    rule: str
    message: str


@dataclass(frozen=True)
class Sample:
    """An image and the class of each of its pixels.

    `image` is a file's encoded bytes (passed through untouched) or a uint8 array H W or H W 3;
    `mask` a uint8 array H W of class indices, `IGNORE_INDEX` for unlabelled pixels. `group` names
    what must not be in two splits at once: the video sequence, the source digits.
    """

    id: str
    image: bytes | np.ndarray
    mask: np.ndarray
    group: tuple[str, ...]
    notes: tuple[Note, ...] = ()
    path: Path | None = None
    """The image's file, for messages."""


class LazySamples(Sequence[Sample]):
    """Samples that are read on access: `read(items[n])`."""

    def __init__(self, items: Sequence[Any], read: Callable[[Any], Sample]) -> None:
        """Keep what to read and how."""
        self.items, self.read = items, read

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.items)

    def __getitem__(self, number: Any) -> Any:
        """Return the sample `number`, or the samples of a slice, still unread."""
        if isinstance(number, slice):
            return LazySamples(self.items[number], self.read)
        return self.read(self.items[number])


@dataclass(frozen=True)
class ObjectCrop:
    """A single object for a classifier: a uint8 image H W and its class's index in `classes`."""

    image: np.ndarray
    label: int


@dataclass(frozen=True)
class Overlap:
    """A known overlap between two splits that is accepted, and printed with every number."""

    rule: str
    """The rule of `fcn.labels.leakage` that would report it as an error."""
    splits: tuple[str, str]
    reason: str
