"""Pairs -> record files: each shard is a job, the jobs are done side by side.

A job opens the pairs for itself and writes them one by one, so memory does not grow with the data
set, and the bytes are the same whoever writes them.
"""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fcn.common import files
from fcn.datasets.shared import catalogue
from fcn.datasets.shared.dataset import IGNORE_INDEX, Dataset, Pair
from fcn.records import record
from fcn.records.record import Labels
from fcn.runtime import workers
from fcn.settings.data import Convert

STRIP = 2**22
"""Pixels counted at once: OpenCV gives float32, which is exact up to four times as many."""


@dataclass(frozen=True)
class Recipe:
    """How a worker comes by the pairs of a split: the data set and what it is asked for."""

    module: str
    convert: Convert = field(compare=False)
    root: Path
    """The folder of plain files that the data set reads."""
    split: str
    """One of the data set's lists."""
    count: int
    seed: int
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    """A worker that outlives this run, on a cluster, opens the files of the next one anew."""


@lru_cache(maxsize=4)
def _opened(recipe: Recipe) -> Sequence[Pair]:
    dataset = catalogue.load(recipe.module, recipe.convert)
    return dataset.pairs(recipe.root, recipe.split, recipe.count, recipe.seed)


@dataclass(frozen=True)
class Part(Sequence[Pair]):
    """Some pairs of a recipe, read where they are asked for."""

    recipe: Recipe
    numbers: range

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.numbers)

    def __getitem__(self, number: Any) -> Any:
        """Return the pair `number`, or the pairs of a slice, still unread."""
        if isinstance(number, slice):
            return replace(self, numbers=self.numbers[number])
        return _opened(self.recipe)[self.numbers[number]]


def pairs(module: str, convert: Convert, root: Path, split: str, seed: int) -> Part:
    """Return the pairs of a split so that parts of them can be sent to other processes.

    What reads them stays behind: it may hold a whole data set.

    Raises:
        ValueError: a list or a file that it names is missing.
    """
    name = convert.lists.get(split, split)
    recipe = Recipe(module, convert, root.resolve(), name, convert.splits[split], seed)
    return Part(recipe, range(len(_opened(recipe))))


@dataclass(frozen=True)
class Job:
    """One record file to write."""

    path: Path
    split: str
    pairs: Sequence[Pair]
    classes: int
    encoding: str


def write(
    folder: Path,
    dataset: Dataset,
    splits: Mapping[str, Sequence[Pair]],
    shards: int,
    encoding: str = "index",
    processes: int = 1,
) -> None:
    """Write the pairs of all splits as records into `folder`, which exists.

    Raises:
        ValueError: a pair cannot become a record.
    """
    jobs = [
        Job(
            path=folder.resolve() / f"{split}-{shard:05d}-of-{shards:05d}.tfrecord",
            split=split,
            pairs=pairs[part.start : part.stop],
            classes=len(dataset.classes),
            encoding=encoding,
        )
        for split, pairs in splits.items()
        for shard, part in enumerate(parts(len(pairs), shards))
    ]
    rows = [row for rows in workers.each(write_shard, jobs, processes) for row in rows]
    table = pa.Table.from_pylist(rows, record.SCHEMA)
    pq.write_table(table, folder / record.INDEX, write_page_checksum=True)
    labels = Labels(
        dataset=dataset.name,
        classes=dataset.classes,
        colours=dataset.colours,
        channels=dataset.channels,
        overlaps=dataset.overlaps,
        encoding=encoding,
    )
    files.write_json(folder / record.LABELS, asdict(labels))


def parts(count: int, shards: int) -> list[range]:
    """Return 0..count in consecutive parts whose lengths differ by one at most."""
    size, more = divmod(count, shards)
    starts = [shard * size + min(shard, more) for shard in range(shards + 1)]
    return [range(start, stop) for start, stop in pairwise(starts)]


def write_shard(job: Job) -> list[dict[str, Any]]:
    """Write one record file; return its examples' rows of the index."""
    with job.path.open("wb") as file:
        # By number: iterating a sequence takes any IndexError inside it for its end.
        return [_write_one(file, job, job.pairs[number]) for number in range(len(job.pairs))]


def _write_one(file: BinaryIO, job: Job, pair: Pair) -> dict[str, Any]:
    """Append one record; return its row of the index."""
    assert pair.mask.dtype == np.uint8 and pair.mask.ndim == 2, f"{pair.id}: masks are uint8 H W"
    example = record.encode(pair, job.classes if job.encoding == record.ONEHOT else None)
    data = example.to_bytes()
    offset = file.tell()
    file.write(record.frame(data))
    counts = histogram(pair.mask)
    return {
        "id": pair.id,
        "split": job.split,
        "group": list(pair.group),
        "shard": job.path.name,
        "offset": offset,
        "length": len(data),
        "height": example.height,
        "width": example.width,
        "bytes": len(example.image),
        "image_sha256": hashlib.sha256(example.image).hexdigest(),
        "label_sha256": hashlib.sha256(pair.mask.tobytes()).hexdigest(),
        "pixels": counts[: job.classes],
        "ignored": counts[IGNORE_INDEX],
        "notes": [asdict(note) for note in pair.notes],
    }


def histogram(mask: np.ndarray) -> list[int]:
    """Return how many pixels of a uint8 mask hold each of the values 0..255.

    Three times as fast as `np.bincount`, which makes 8 bytes of each pixel first.
    """
    strips = np.array_split(mask.ravel(), 1 + mask.size // STRIP)
    counts = [cv2.calcHist([strip], [0], None, [256], [0, 256]) for strip in strips]
    return np.sum(counts, axis=0, dtype=np.int64).ravel().tolist()
