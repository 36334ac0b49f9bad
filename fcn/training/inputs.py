"""Records -> batches: decode once, augment image and label together, batch. Built on Grain.

The position in the input is a step number: `batches(...)[start:stop]` holds the batches of steps
`start` to `stop`, independent of what was read before.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import grain
import numpy as np

from fcn.records.record import DecodedSample
from fcn.records.split import Records
from fcn.settings.training import Training
from fcn.training import augmentation
from fcn.training.augmentation import Arrays

CACHE_BYTES = 2**31
"""A split of up to this size, decoded, stays in memory; a larger one is read in every epoch."""


class MemorySource:
    """A source for Grain: decoded samples in memory."""

    def __init__(self, samples: Sequence[Arrays]) -> None:
        """Keep `samples`."""
        self.samples = list(samples)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.samples)

    def __getitem__(self, number: int) -> Arrays:
        """Return the sample `number`."""
        return self.samples[number]


class RecordSource:
    """A source for Grain: the samples of a split, from `cache` or read from its records."""

    def __init__(self, split: Sequence[DecodedSample] | Records) -> None:
        """Keep `split`."""
        self.split = split

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.split)

    def __getitem__(self, number: int) -> Arrays:
        """Return the sample `number`."""
        sample = self.split[number]
        return {"image": sample.image, "label": sample.label}


def cache(split: Records, max_bytes: int = CACHE_BYTES) -> Sequence[DecodedSample] | Records:
    """Return a split decoded once, or the split itself where that takes more than `max_bytes`."""
    pixels = sum(row.height * row.width for row in split.rows)
    return list(split) if pixels * (split.labels.channels + 1) <= max_bytes else split


def batches(source: MemorySource | RecordSource, training: Training, seed: int) -> grain.MapDataset:
    """Return all batches of all epochs: images B H W C with labels B H W (or B).

    `seed` alone determines each epoch's order and each sample's augmentation in each epoch. An
    epoch has as many steps as the split has whole batches, rounded down to a multiple of
    `accumulate`. The samples left over come first in the next epoch.

    Raises:
        ValueError: a batch, or the batches of a weight update, are larger than the split.
    """
    if training.batch > len(source):
        allowed = f"1..{len(source)}, the split's samples"
        raise ValueError(f"training.batch: got {training.batch}, allowed: {allowed}")
    whole_batches = len(source) // training.batch
    if training.accumulate > whole_batches:
        allowed = f"1..{whole_batches}, the split's batches of {training.batch}"
        raise ValueError(f"training.accumulate: got {training.accumulate}, allowed: {allowed}")
    steps = whole_batches // training.accumulate * training.accumulate * training.epochs
    dataset = _shuffle(source, training, seed)
    if augmentation.is_enabled(training):
        dataset = dataset.random_map(augmentation.Augment(training))
    as_tuple: Callable[[Arrays], tuple[np.ndarray, np.ndarray]] = _as_tuple
    return dataset.map(as_tuple).batch(training.batch)[:steps]


def require_equal_sizes(split: Records, training: Training) -> None:
    """Refuse a split whose images do not fit into one batch.

    Raises:
        ValueError: the images differ in size, a batch has several, and `crop` is not set.
    """
    sizes = Counter(f"{row.height}x{row.width}" for row in split.rows)
    if training.batch > 1 and training.crop is None and len(sizes) > 1:
        frequent = ", ".join(f"{size} ({count})" for size, count in sizes.most_common(3))
        raise ValueError(
            f"training.crop: not set, but the images of {split.folder} have {len(sizes)} sizes "
            f"(height x width), {frequent}{', …' if len(sizes) > 3 else ''}, and a batch needs "
            "one; set `crop: [height, width]`, or `batch: 1, accumulate: "
            f"{training.batch * training.accumulate}`"
        )


def sample_numbers(count: int, training: Training, seed: int) -> grain.MapDataset:
    """Return the numbers of the samples in each of the `batches` of a split of `count` samples."""
    return _shuffle(range(count), training, seed).batch(training.batch)


def _shuffle(source: Any, training: Training, seed: int) -> grain.MapDataset:
    return grain.MapDataset.source(source).seed(seed).shuffle().repeat(training.epochs)


def _as_tuple(element: Arrays) -> tuple[np.ndarray, np.ndarray]:
    return element["image"], element["label"]


def stream(dataset: grain.MapDataset) -> Any:
    """Return an iterator over the batches; a thread reads ahead."""
    return dataset.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=16))
