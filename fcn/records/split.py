"""The records of one split, read at random. Works without TensorFlow.

A folder of records, which `fcn.conversion.shards` writes, holds `<split>-00000-of-00002.tfrecord`,
`index.parquet` (a row per record) and `labels.json` (class names, colours, channels).
"""

from collections.abc import Iterator
from pathlib import Path

from fcn.records import tfrecord
from fcn.records.example import Example
from fcn.records.index import CONVERT_AGAIN, INDEX, read_index
from fcn.records.labels import read_labels
from fcn.records.record import DecodedSample, decode


class Records:
    """The records of one split; each read checks both checksums.

    Raises:
        ValueError: the folder, its index or a record file is missing, cut short or damaged.
    """

    def __init__(self, folder: Path, split: str) -> None:
        """Open the index; record files are opened as they are read."""
        self.folder = folder
        self.labels = read_labels(folder)
        self.rows = read_index(folder, split)

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.rows)

    def __getitem__(self, number: int) -> DecodedSample:
        """Return the record `number` as arrays."""
        return decode(self.example(number), self.labels.channels)

    def __iter__(self) -> Iterator[DecodedSample]:
        """Yield all records in the order of the index."""
        return (self[number] for number in range(len(self)))

    def example(self, number: int) -> Example:
        """Return the record `number` with image and mask still encoded."""
        row = self.rows[number]
        path = self.folder / row.shard
        try:
            data = tfrecord.read(path, row.offset, row.length)
        except FileNotFoundError:
            raise ValueError(f"{path} is missing, but {INDEX} names it; {CONVERT_AGAIN}") from None
        except ValueError as error:
            raise ValueError(
                f"{path}: record {row.id} at byte {row.offset} {error}; {CONVERT_AGAIN}"
            ) from None
        return Example.from_bytes(data)
