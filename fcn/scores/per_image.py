"""What was counted of each image, kept as Parquet: every number of a row comes from it again.

Any aggregate (`fcn.scores.averaging`), any interval (`fcn.scores.intervals`) and any measure of edges or
confidence can be had without running the network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fcn.common import files

FILE = "per_image_counts.parquet"
"""Its name beside the pictures of a row."""
AGAIN = "run `dvc repro evaluate`"
GROUPS = pa.list_(pa.string())


@dataclass(frozen=True)
class PerImageCounts:
    """Counts of N images, int64 unless said otherwise; `fcn.scores.counting` makes them."""

    ids: list[str]
    groups: list[tuple[str, ...]]
    """Of each image, as in the records' index: the video sequence, the source digits."""
    counts: np.ndarray
    """Confusion matrices N K K; rows are the truth."""
    ignored: np.ndarray
    """Pixels by what was predicted where the truth is ignored, N K."""
    bands: np.ndarray
    """Areas N W 3 K within `fcn.scores.boundaries.WIDTHS` of the truth's edges."""
    boundary: np.ndarray
    """Areas N 3 K of the classes' inner boundaries (boundary IoU)."""
    likely: np.ndarray
    """Intersection and union N 2 of truth and every probability above a threshold
    (`fcn.scores.averaging.likely_iou`)."""
    confidence: np.ndarray
    """Pixels, right ones, and the sum of their confidences, by confidence: N 3 B float64."""

    @property
    def total(self) -> np.ndarray:
        """The confusion matrix over all images, K K."""
        total: np.ndarray = self.counts.sum(axis=0)
        return total

    def units(self) -> np.ndarray:
        """Return for each image the number of what it must be drawn with, N."""
        return units(self.groups)

    def by_group(self) -> dict[str, np.ndarray]:
        """Return image numbers by group; nothing where every image is a unit of its own."""
        units = self.units()
        if len(np.unique(units)) == len(units):
            return {}
        members = (np.flatnonzero(units == unit) for unit in np.unique(units))
        return {self.groups[numbers[0]][0]: numbers for numbers in members}


def units(groups: Sequence[tuple[str, ...]]) -> np.ndarray:
    """Return for each image, given its groups, the number of what it must be drawn with, N.

    Frames of one video are alike: where every image names one group, a group is one unit.
    Where images name several (composed of many sources), each image is a unit of its own.
    """
    if any(len(group) != 1 for group in groups):
        return np.arange(len(groups))
    numbers: dict[tuple[str, ...], int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups])


ARRAYS = [field.name for field in fields(PerImageCounts)][2:]


def together(
    rows: Sequence[Mapping[str, Any]], counted: Sequence[Mapping[str, np.ndarray]]
) -> PerImageCounts:
    """Return the counts of images from their rows in the index and what was counted of each."""
    arrays = {name: np.stack([one[name] for one in counted]) for name in ARRAYS}
    return PerImageCounts(
        [row["id"] for row in rows], [tuple(row["group"]) for row in rows], **arrays
    )


def write(path: Path, counts: PerImageCounts) -> None:
    """Write a row per image; arrays are Arrow's fixed-shape tensors, flat lists to who asks not."""
    columns = {"id": pa.array(counts.ids), "group": pa.array(counts.groups, GROUPS)}
    for name in ARRAYS:
        # C order is part of the file: Arrow writes down any other.
        values = np.ascontiguousarray(getattr(counts, name))
        columns[name] = pa.FixedShapeTensorArray.from_numpy_ndarray(values)
    with files.writing(path) as aside:
        pq.write_table(pa.table(columns), aside, write_page_checksum=True)


def read(path: Path) -> PerImageCounts:
    """Return what `write` wrote.

    Raises:
        ValueError: the file is missing, damaged, or of another layout.
    """
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; {AGAIN}") from None
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):  # the system's own: no permission, a broken disk
            raise
        raise ValueError(f"{path} is damaged ({error}); {AGAIN}") from None
    missing = {"id", "group", *ARRAYS} - set(table.column_names)
    if missing:
        raise ValueError(f"{path} has no {', '.join(sorted(missing))}; {AGAIN}")
    arrays = {name: table[name].combine_chunks().to_numpy_ndarray() for name in ARRAYS}
    groups = [tuple(group) for group in table["group"].to_pylist()]
    return PerImageCounts(table["id"].to_pylist(), groups, **arrays)
