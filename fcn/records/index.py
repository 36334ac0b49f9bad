"""`index.parquet`: a row per record, where it is and what it holds."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fcn.records.sample import Note

INDEX = "index.parquet"
CONVERT_AGAIN = "delete the folder and run `dvc repro convert`"

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("split", pa.string()),
        ("group", pa.list_(pa.string())),
        ("shard", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("bytes", pa.int64()),
        ("image_sha256", pa.string()),
        ("label_sha256", pa.string()),
        ("pixels", pa.list_(pa.int64())),
        ("ignored", pa.int64()),
        ("notes", pa.list_(pa.struct([("rule", pa.string()), ("message", pa.string())]))),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRow:
    """One record's row."""

    id: str
    split: str
    group: tuple[str, ...]
    shard: str
    """Name of the record file."""
    offset: int
    """Of the record's header in its file, in bytes."""
    length: int
    """Of the example, in bytes, without header and footer."""
    height: int
    width: int
    bytes: int
    """Of the encoded image."""
    image_sha256: str
    """Of the encoded image."""
    label_sha256: str
    """Of the mask's pixels, uint8 in C order, however they are encoded."""
    pixels: tuple[int, ...]
    """Of each class."""
    ignored: int
    """Pixels of `IGNORE_INDEX`."""
    notes: tuple[Note, ...]


def write_index(folder: Path, rows: Iterable[IndexRow]) -> None:
    """Write the index of a folder of records."""
    table = pa.Table.from_pylist([asdict(row) for row in rows], SCHEMA)
    pq.write_table(table, folder / INDEX, write_page_checksum=True)


def read_index(folder: Path, split: str | None = None) -> list[IndexRow]:
    """Return the rows of all splits, or of one, in the order of the file.

    Raises:
        ValueError: the index is missing, damaged, or of another layout, or has no such split.
    """
    path = folder / INDEX
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; {CONVERT_AGAIN}") from None
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):  # the system's own: no permission, a broken disk
            raise
        raise ValueError(f"{path} is damaged ({error}); {CONVERT_AGAIN}") from None
    if table.schema != SCHEMA:
        raise ValueError(f"{path} has another layout than this version's; {CONVERT_AGAIN}")
    if split is None:
        return [_row(content) for content in table.to_pylist()]
    chosen = table.filter(pa.compute.equal(table["split"], split))
    if not len(chosen):
        splits = ", ".join(sorted(set(table["split"].to_pylist())))
        raise ValueError(f"{folder} has no examples of split {split!r}; it has: {splits}")
    return [_row(content) for content in chosen.to_pylist()]


def _row(content: dict[str, Any]) -> IndexRow:
    content["group"] = tuple(content["group"])
    content["pixels"] = tuple(content["pixels"])
    content["notes"] = tuple(Note(**note) for note in content["notes"])
    return IndexRow(**content)
