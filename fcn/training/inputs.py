"""Records -> batches: decode once, alter image and mask together, batch. On Grain.

The position in the input is a plain step number: `batches(...)[start:stop]` is what a training from
`start` to `stop` sees, whatever was read before.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import grain
import numpy as np

from fcn.records.record import Decoded, Records
from fcn.settings.training import Training
from fcn.training import augmentation

KEPT_BYTES = 2**31
"""Up to so many bytes, decoded, a split is kept in memory; a larger one is read again and again."""
Example = augmentation.Example


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


def batches(source: InMemory | FromRecords, training: Training, seed: int) -> grain.MapDataset:
    """Return all batches of all epochs: pairs of images B H W C and labels B H W (or B).

    Each epoch has its own order, and each example of each epoch its own shift, by `seed` alone. An
    epoch is as many steps as the split has whole batches, and with `accumulate` as many moves of
    the weights; what it leaves over, the next begins with.

    Raises:
        ValueError: a batch, or the batches of a move, are larger than the split.
    """
    if training.batch > len(source):
        allowed = f"1..{len(source)}, the split's examples"
        raise ValueError(f"training.batch: got {training.batch}, allowed: {allowed}")
    whole = len(source) // training.batch
    if training.accumulate > whole:
        allowed = f"1..{whole}, the split's batches of {training.batch}"
        raise ValueError(f"training.accumulate: got {training.accumulate}, allowed: {allowed}")
    steps = whole // training.accumulate * training.accumulate * training.epochs
    dataset = _ordered(source, training, seed)
    if augmentation.asked(training):
        dataset = dataset.random_map(augmentation.Augment(training))
    pair: Callable[[Example], tuple[np.ndarray, np.ndarray]] = _pair
    return dataset.map(pair).batch(training.batch)[:steps]


def require_equal_sizes(split: Records, training: Training) -> None:
    """Refuse a split whose images cannot stand in one batch.

    Raises:
        ValueError: they differ in size, a batch has several, and nothing cuts them to one size.
    """
    sizes = Counter(f"{row['height']}x{row['width']}" for row in split.rows)
    if training.batch > 1 and training.crop is None and len(sizes) > 1:
        most = ", ".join(f"{size} ({count})" for size, count in sizes.most_common(3))
        raise ValueError(
            f"training.crop: not set, but the images of {split.folder} have {len(sizes)} sizes, "
            f"{most}{', …' if len(sizes) > 3 else ''}, and a batch needs one; set `crop: [height, "
            f"width]`, or `batch: 1, accumulate: {training.batch * training.accumulate}`"
        )


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
