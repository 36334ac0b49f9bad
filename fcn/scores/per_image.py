"""The counts of each image, stored as Parquet; every score of a row is computed from them.

Any aggregate (`fcn.scores.averaging`), any interval (`fcn.uncertainty.intervals`) and any measure
of edges or calibration can be computed from this file without running the network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fcn.common import files

if TYPE_CHECKING:
    from fcn.records.index import IndexRow

FILE = "per_image_counts.parquet"
"""Its name, in the folder of a row's pictures."""
NEXT_STEP = "run `dvc repro evaluate`"
GROUPS = pa.list_(pa.string())


@dataclass(frozen=True)
class PerImageCounts:
    """Counts of N images, int64 unless noted; `fcn.scores.counting` makes them."""

    ids: list[str]
    groups: list[tuple[str, ...]]
    """Of each image, as in the records' index: the video sequence, or the source digits."""
    confusion: np.ndarray
    """Confusion matrices N K K; rows are the truth."""
    ignored: np.ndarray
    """Pixels by predicted class where the truth is ignored, N K."""
    trimap: np.ndarray
    """Areas N W 3 K within `fcn.scores.boundaries.WIDTHS` of the truth's edges."""
    boundary: np.ndarray
    """Areas N 3 K of the classes' inner boundaries (boundary IoU)."""
    thresholded: np.ndarray
    """Intersection and union N 2 of the truth and all classes with a probability above a threshold
    (`fcn.scores.averaging.thresholded_iou`)."""
    calibration: np.ndarray
    """Pixels, right pixels and the sum of confidences, by confidence: N 3 B float64."""

    @property
    def total(self) -> np.ndarray:
        """The confusion matrix over all images, K K."""
        total: np.ndarray = self.confusion.sum(axis=0)
        return total

    def resampling_units(self) -> np.ndarray:
        """Return each image's unit of resampling, N."""
        return resampling_units(self.groups)

    def by_group(self) -> dict[str, np.ndarray]:
        """Return image numbers by group; empty where every image is its own unit."""
        units = self.resampling_units()
        if len(np.unique(units)) == len(units):
            return {}
        members = (np.flatnonzero(units == unit) for unit in np.unique(units))
        return {self.groups[numbers[0]][0]: numbers for numbers in members}


def resampling_units(groups: Sequence[tuple[str, ...]]) -> np.ndarray:
    """Return each image's unit of resampling, numbered from 0, N, given the images' groups.

    Frames of one video are alike: where every image names one group, a group is a unit. Where
    images name several groups (composed of many sources), each image is a unit.
    """
    if any(len(group) != 1 for group in groups):
        return np.arange(len(groups))
    numbers: dict[tuple[str, ...], int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups])


ARRAYS = [field.name for field in fields(PerImageCounts)][2:]


def stack(rows: "Sequence[IndexRow]", counts: Sequence[Mapping[str, np.ndarray]]) -> PerImageCounts:
    """Return the counts of images, given their rows of the index and the counts of each image."""
    arrays = {name: np.stack([image[name] for image in counts]) for name in ARRAYS}
    return PerImageCounts([row.id for row in rows], [row.group for row in rows], **arrays)


def write(path: Path, images: PerImageCounts) -> None:
    """Write one row per image; arrays are Arrow's fixed-shape tensors, stored as flat lists."""
    columns = {"id": pa.array(images.ids), "group": pa.array(images.groups, GROUPS)}
    for name in ARRAYS:
        # Arrow would store any other memory order in the file.
        values = np.ascontiguousarray(getattr(images, name))
        columns[name] = pa.FixedShapeTensorArray.from_numpy_ndarray(values)
    with files.writing(path) as temporary:
        pq.write_table(pa.table(columns), temporary, write_page_checksum=True)


def read(path: Path) -> PerImageCounts:
    """Return what `write` wrote.

    Raises:
        ValueError: the file is missing, damaged, or has other columns.
    """
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; {NEXT_STEP}") from None
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):  # from the system: no permission, a broken disk
            raise
        raise ValueError(f"{path} is damaged ({error}); {NEXT_STEP}") from None
    missing = {"id", "group", *ARRAYS} - set(table.column_names)
    if missing:
        raise ValueError(f"{path} has no column {', '.join(sorted(missing))}; {NEXT_STEP}")
    arrays = {name: table[name].combine_chunks().to_numpy_ndarray() for name in ARRAYS}
    groups = [tuple(group) for group in table["group"].to_pylist()]
    return PerImageCounts(table["id"].to_pylist(), groups, **arrays)
