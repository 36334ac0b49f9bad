"""Records -> batches: decode once, shift image and mask together, batch. On Grain.

The position in the input is a plain step number: `batches(...)[start:stop]` is what a training from
`start` to `stop` sees, whatever was read before.
"""

from collections.abc import Callable, Sequence
from typing import Any

import grain
import numpy as np

from fcn.dataset import IGNORE
from fcn.records import Decoded, Records
from fcn.schema.training import Training

KEPT_BYTES = 2**31
"""Up to so many bytes, decoded, a split is kept in memory; a larger one is read again and again."""
Example = dict[str, np.ndarray]
"""image uint8 H W C; label uint8 H W for a network, or a scalar for a classifier."""


class InMemory:
    """A source for Grain: every example decoded once and kept."""

    def __init__(self, examples: Sequence[Example]) -> None:
        """Keep `examples`."""
        self.examples = list(examples)

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.examples)

    def __getitem__(self, number: int) -> Example:
        """Return the example `number`."""
        return self.examples[number]


class FromRecords:
    """A source for Grain: the examples of `kept`."""

    def __init__(self, split: Sequence[Decoded] | Records) -> None:
        """Keep `split`."""
        self.split = split

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.split)

    def __getitem__(self, number: int) -> Example:
        """Return the example `number`."""
        example = self.split[number]
        return {"image": example.image, "label": example.label}


def kept(split: Records, most: int = KEPT_BYTES) -> Sequence[Decoded] | Records:
    """Return a split decoded once, or as it is where that would take more than `most` bytes."""
    pixels = sum(row["height"] * row["width"] for row in split.rows)
    return list(split) if pixels * (split.labels.channels + 1) <= most else split


class Shift(grain.transforms.RandomMap):
    """Move image and label together by up to `most` pixels each way.

    What comes in at the border is black, and ignored in a mask: nobody knows what was there.
    """

    def __init__(self, most: int) -> None:
        """Keep the largest shift, in pixels."""
        self.most = most

    def random_map(self, element: Example, rng: np.random.Generator) -> Example:
        """Return the shifted example; `rng` is Grain's, seeded per example and epoch."""
        down, right = rng.integers(-self.most, self.most + 1, size=2)
        moved = {"image": shifted(element["image"], down, right, 0)}
        label = element["label"]
        moved["label"] = shifted(label, down, right, IGNORE) if label.ndim else label
        return moved


def shifted(pixels: np.ndarray, down: int, right: int, fill: int) -> np.ndarray:
    """Return H W … pixels moved down and right, `fill` where nothing came from."""
    height, width = pixels.shape[:2]
    moved = np.full_like(pixels, fill)
    if abs(down) < height and abs(right) < width:
        to = np.s_[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)]
        of = np.s_[max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)]
        moved[to] = pixels[of]
    return moved


def batches(source: InMemory | FromRecords, training: Training, seed: int) -> grain.MapDataset:
    """Return all batches of all epochs: pairs of images B H W C and labels B H W (or B).

    Each epoch has its own order, and each example of each epoch its own shift, by `seed` alone. An
    epoch is `len(source) // batch` steps; what it leaves over, the next begins with.

    Raises:
        ValueError: a batch is larger than the split.
    """
    if training.batch > len(source):
        allowed = f"1..{len(source)}, the split's examples"
        raise ValueError(f"training.batch: got {training.batch}, allowed: {allowed}")
    steps = len(source) // training.batch * training.epochs
    dataset = _ordered(source, training, seed)
    if training.shift:
        dataset = dataset.random_map(Shift(training.shift))
    pair: Callable[[Example], tuple[np.ndarray, np.ndarray]] = _pair
    return dataset.map(pair).batch(training.batch)[:steps]


def numbers(count: int, training: Training, seed: int) -> grain.MapDataset:
    """Return which of `count` examples each of the `batches` holds, as their numbers."""
    return _ordered(range(count), training, seed).batch(training.batch)


def _ordered(source: Any, training: Training, seed: int) -> grain.MapDataset:
    return grain.MapDataset.source(source).seed(seed).shuffle().repeat(training.epochs)


def _pair(element: Example) -> tuple[np.ndarray, np.ndarray]:
    return element["image"], element["label"]


def stream(dataset: grain.MapDataset) -> Any:
    """Return the batches as a stream that is read ahead by a thread."""
    return dataset.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=16))
