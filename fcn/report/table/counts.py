"""The confusion matrices of a table's rows, image by image, in one small file that Git tracks.

With it, another machine's results are compared with the committed ones on the same images
(`fcn.audit.reproduction`); the complete per-image counts are data of DVC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fcn.common import files
from fcn.scores.per_image import PerImageCounts

COLUMNS = ("row", "id", "unit", "confusion")
LEVEL = 19
"""Of Zstandard. A row of 400 small images with 11 classes takes about 9 kB, one of CamVid 31 kB."""


@dataclass(frozen=True)
class RowCounts:
    """What one row predicted, image by image."""

    ids: list[str]
    units: np.ndarray
    """Each image's unit of resampling (`fcn.scores.per_image.resampling_units`), N int64."""
    confusion: np.ndarray
    """Confusion matrices N K K int64; rows are the truth."""

    @classmethod
    def of(cls, images: PerImageCounts) -> Self:
        """Return the part of a row's complete counts that the file holds."""
        return cls(images.ids, images.resampling_units(), images.confusion)


def write(path: Path, rows: Mapping[str, RowCounts]) -> None:
    """Write one line per row and image."""
    columns: dict[str, list[pa.Array]] = {name: [] for name in COLUMNS}
    for key, row in rows.items():
        columns["row"].append(pa.array([key] * len(row.ids)))
        columns["id"].append(pa.array(row.ids))
        columns["unit"].append(pa.array(row.units, pa.int64()))
        # Arrow would store any other memory order in the file.
        matrices = np.ascontiguousarray(row.confusion)
        columns["confusion"].append(pa.FixedShapeTensorArray.from_numpy_ndarray(matrices))
    table = pa.table({name: pa.chunked_array(parts) for name, parts in columns.items()})
    with files.writing(path) as partial:
        pq.write_table(table, partial, compression="zstd", compression_level=LEVEL)


def read(content: bytes, name: str) -> dict[str, RowCounts]:
    """Return the counts of each row from the bytes of a file that `write` wrote.

    Args:
        content: of the file.
        name: of the file, for the error message.

    Raises:
        ValueError: it is damaged, or has other columns.
    """
    try:
        table = pq.read_table(pa.BufferReader(content))
        keys = np.array(table["row"].to_pylist())
        ids, units = np.array(table["id"].to_pylist()), table["unit"].to_numpy()
        confusion = table["confusion"].combine_chunks().to_numpy_ndarray()
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ValueError(f"{name} cannot be read ({error}); `dvc repro` writes it") from None
    return {
        key: RowCounts(ids[keys == key].tolist(), units[keys == key], confusion[keys == key])
        for key in dict.fromkeys(keys.tolist())
    }
