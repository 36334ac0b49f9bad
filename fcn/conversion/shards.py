"""Samples to record files: each shard is a job, the jobs run side by side.

A job opens the samples itself and writes them one by one. Memory does not grow with the data set,
and the bytes are the same with any number of workers.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fcn.conversion.content import describe
from fcn.datasets.shared import catalogue
from fcn.datasets.shared.dataset import Dataset
from fcn.records import record, tfrecord
from fcn.records.index import IndexRow, write_index
from fcn.records.labels import Labels, write_labels
from fcn.records.sample import Sample
from fcn.runtime import workers
from fcn.settings.data import Convert


@dataclass(frozen=True)
class SplitSource:
    """How a worker opens the samples of a split: the data set and its settings."""

    module: str
    convert: Convert = field(compare=False)
    root: Path
    """The folder of plain files that the data set reads."""
    split: str
    """One of the data set's lists."""
    count: int
    seed: int
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Differs from run to run: a worker that outlives a run, on a cluster, opens the files anew."""


@lru_cache(maxsize=4)
def _open(source: SplitSource) -> Sequence[Sample]:
    dataset = catalogue.load(source.module, source.convert)
    return dataset.samples(source.root, source.split, source.count, source.seed)


@dataclass(frozen=True)
class SplitSamples(Sequence[Sample]):
    """Some samples of a split, read on access in any process."""

    source: SplitSource
    numbers: range

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.numbers)

    def __getitem__(self, number: Any) -> Any:
        """Return the sample `number`, or the samples of a slice, still unread."""
        if isinstance(number, slice):
            return replace(self, numbers=self.numbers[number])
        return _open(self.source)[self.numbers[number]]


def samples(module: str, convert: Convert, root: Path, split: str, seed: int) -> SplitSamples:
    """Return the samples of a split so that slices of them can be sent to other processes.

    Only a description is sent, not the opened data set: it may be large.

    Raises:
        ValueError: a list or a file that it names is missing.
    """
    name = convert.lists.get(split, split)
    source = SplitSource(module, convert, root.resolve(), name, convert.splits[split], seed)
    return SplitSamples(source, range(len(_open(source))))


@dataclass(frozen=True)
class ShardJob:
    """One record file to write."""

    path: Path
    split: str
    samples: Sequence[Sample]
    classes: int
    encoding: str


def write(
    folder: Path,
    dataset: Dataset,
    splits: Mapping[str, Sequence[Sample]],
    shards: int,
    encoding: str = "index",
    processes: int = 1,
) -> None:
    """Write the samples of all splits as records into `folder`, which exists.

    Raises:
        ValueError: a sample cannot become a record.
    """
    jobs = [
        ShardJob(
            path=folder.resolve() / f"{split}-{shard:05d}-of-{shards:05d}.tfrecord",
            split=split,
            samples=of_split[numbers.start : numbers.stop],
            classes=len(dataset.classes),
            encoding=encoding,
        )
        for split, of_split in splits.items()
        for shard, numbers in enumerate(ranges(len(of_split), shards))
    ]
    write_index(
        folder, [row for rows in workers.each(write_shard, jobs, processes) for row in rows]
    )
    labels = Labels(
        dataset=dataset.name,
        classes=dataset.classes,
        colours=dataset.colours,
        channels=dataset.channels,
        overlaps=dataset.overlaps,
        encoding=encoding,
    )
    write_labels(folder, labels)


def ranges(count: int, shards: int) -> list[range]:
    """Return 0..count in consecutive ranges whose lengths differ by one at most."""
    size, more = divmod(count, shards)
    starts = [shard * size + min(shard, more) for shard in range(shards + 1)]
    return [range(start, stop) for start, stop in pairwise(starts)]


def write_shard(job: ShardJob) -> list[IndexRow]:
    """Write one record file; return the rows of its records."""
    with job.path.open("wb") as file:
        # By number: iterating a sequence takes any IndexError inside it for its end.
        return [_append(file, job, job.samples[number]) for number in range(len(job.samples))]


def _append(file: BinaryIO, job: ShardJob, sample: Sample) -> IndexRow:
    """Append one record; return its row of the index."""
    mask = sample.mask
    assert mask.dtype == np.uint8 and mask.ndim == 2, f"{sample.id}: masks are uint8 H W"
    example = record.encode(sample, job.classes if job.encoding == record.ONEHOT else None)
    data = example.to_bytes()
    offset = file.tell()
    file.write(tfrecord.frame(data))
    return IndexRow(
        split=job.split,
        group=sample.group,
        shard=job.path.name,
        offset=offset,
        length=len(data),
        notes=sample.notes,
        **describe(example, mask, job.classes),
    )
