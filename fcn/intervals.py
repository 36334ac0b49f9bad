"""How sure a number is: bootstrap intervals over images, from per-image confusion matrices.

Images are drawn with replacement, as many as there are, and the score is computed from the sum of
their matrices each time: the spread is what another set of images of the same kind would have
given. It does not see the spread between trainings: for that a row has to be trained several times.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fcn import files


@dataclass(frozen=True)
class Interval:
    """A percentile interval, in the unit of the score."""

    low: float
    high: float


def write_matrices(path: Path, ids: list[str], matrices: np.ndarray) -> None:
    """Write per-image confusion matrices N K K as Parquet: id, and K * K counts row by row.

    Any aggregation and any interval can be had from them without running the network again.
    """
    counts = pa.FixedSizeListArray.from_arrays(
        pa.array(matrices.reshape(-1)), matrices.shape[1] * matrices.shape[2]
    )
    with files.writing(path) as aside:
        pq.write_table(pa.table({"id": ids, "counts": counts}), aside)


def read_matrices(path: Path) -> tuple[list[str], np.ndarray]:
    """Return the ids and the matrices N K K int64 of `write_matrices`.

    Raises:
        ValueError: the file is missing or damaged.
    """
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; run `dvc repro evaluate`") from None
    except pa.ArrowException as error:
        raise ValueError(f"{path} is damaged ({error}); run `dvc repro evaluate`") from None
    counts = table["counts"].combine_chunks()
    classes = round(counts.type.list_size**0.5)
    flat = counts.flatten().to_numpy()
    return table["id"].to_pylist(), flat.reshape(-1, classes, classes)


def resampled_mean_iou(matrices: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Return mean IoU (absent classes left out) of each resample, float64.

    The same seed and number of images draw the same images, so that two networks measured on the
    same images can be compared pair by pair.
    """
    number, classes, _ = matrices.shape
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(number, np.full(number, 1 / number), size=resamples)
    # Counts stay exact: float64 holds whole numbers up to 2^53, and its product is BLAS's.
    sums = drawn.astype(np.float64) @ matrices.reshape(number, -1).astype(np.float64)
    n = sums.reshape(resamples, classes, classes)
    hits = np.diagonal(n, axis1=1, axis2=2)
    union = n.sum(axis=1) + n.sum(axis=2) - hits
    iou = np.divide(hits, union, out=np.full(hits.shape, np.nan), where=union > 0)
    return np.nanmean(iou, axis=1)


def interval(values: np.ndarray, level: float) -> Interval:
    """Return the interval that holds the middle `level` of the values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
