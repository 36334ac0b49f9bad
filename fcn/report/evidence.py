"""What stands behind a table, read from what the stages left: for its page (`fcn.report.page`)."""

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fcn.common import files
from fcn.datasets.shared.dataset import Dataset
from fcn.pictures.overlay import file_name
from fcn.report.rows import Evaluated
from fcn.report.table import Row, percent
from fcn.scores import extremes
from fcn.settings.table import TableFile

AS_IT_IS = 48_000
"""Bytes up to which a PNG goes into the page as it is; a larger one becomes WebP."""
WIDEST = 1280
"""Pixels; wider pictures are made smaller."""
QUALITY = 80
"""Of WebP."""
OF_EACH = 4
"""Pictures of the label report that the page shows of each of their folders."""


@dataclass(frozen=True)
class Picture:
    """A picture inside the page."""

    address: str
    """`data:image/...`: the picture itself."""
    width: int
    height: int
    caption: str


@dataclass(frozen=True)
class Behind:
    """What stands behind one row."""

    row: Row
    measures: Mapping[str, Any]
    """Its metrics file."""
    curve: Sequence[Mapping[str, float]]
    """A line for each epoch: `epoch`, `step`, `loss` and what was measured."""
    shares: np.ndarray
    """The confusion matrix as shares of each true class, K K; nought where the truth has none."""
    pictures: Mapping[str, Sequence[Picture]]
    """Best, median and worst images."""
    seen: int
    """Training images that went through the network."""
    seen_before: int
    """The same of the models that it started from."""


@dataclass(frozen=True)
class Labels:
    """The label report of the data set."""

    content: Mapping[str, Any]
    """See `fcn.labels.findings.CheckedRecords.content`."""
    pictures: Mapping[str, Sequence[Picture]]
    """By their folder in the report's gallery: `examples/SPLIT`, `offenders`."""


@dataclass(frozen=True)
class Raw:
    """One file of the publisher."""

    name: str
    source: str
    sha256: str


@dataclass(frozen=True)
class Data:
    """Which data these are."""

    records: str
    """SHA-256 of the records."""
    raw: Sequence[Raw]
    licence: str


def rows(
    table: Sequence[Row], loaded: TableFile, evaluated: Evaluated, plots: Path, details: Path
) -> list[Behind]:
    """Return what stands behind each row of a table."""
    return [_behind(row, loaded, evaluated, plots, details) for row in table]


def _behind(
    row: Row, loaded: TableFile, evaluated: Evaluated, plots: Path, details: Path
) -> Behind:
    images = evaluated.images(row.key)
    scores = extremes.mean_iou_by_image(images)
    count = loaded.tables[loaded.models[row.key].table].evaluation.pictures
    pictures = {
        which: [
            _picture(
                details / row.key / f"{file_name(images.ids[number])}.png",
                f"{images.ids[number]}: mean IoU {percent(scores[number])}",
            )
            for number in numbers
        ]
        for which, numbers in extremes.select(images, count).items()
    }
    chain = _chain(row.key, loaded)
    curves = [_curve(plots / key / "loss.csv") for key in chain]
    seen, *before = (
        int(lines[-1]["step"]) * loaded.models[key].training.batch
        for key, lines in zip(chain, curves, strict=True)
    )
    return Behind(
        row=row,
        measures=evaluated.metrics(row.key),
        curve=curves[0],
        shares=images.total / np.maximum(images.total.sum(axis=1, keepdims=True), 1),
        pictures=pictures,
        seen=seen,
        seen_before=sum(before),
    )


def _chain(key: str, loaded: TableFile) -> list[str]:
    """Return a model and those it started from, the last one first."""
    start = loaded.models[key].init_from
    return [key, *(_chain(start, loaded) if start in loaded.models else [])]


def _curve(path: Path) -> list[dict[str, float]]:
    """Read the loss curve that `train` left."""
    if not path.is_file():
        raise ValueError(f"{path} is missing; `dvc repro` makes it")
    with path.open(encoding="utf-8", newline="") as file:
        lines = [
            {name: float(value) for name, value in line.items()} for line in csv.DictReader(file)
        ]
    if not lines or not {"epoch", "step", "loss"} <= lines[0].keys():
        raise ValueError(f"{path} is no loss curve; `dvc repro` makes it")
    return lines


def labels(report: Path, gallery: Path) -> Labels:
    """Return the report that `validate` left and some of its pictures."""
    folders = sorted(path for path in gallery.rglob("*") if path.is_dir())
    shown = {
        folder.relative_to(gallery).as_posix(): [
            _picture(path, path.stem) for path in sorted(folder.glob("*.png"))[:OF_EACH]
        ]
        for folder in folders
    }
    return Labels(files.read_json(report), shown)


def data(valid: Path, hashes: Path, source: Dataset) -> Data:
    """Return which data these are.

    Args:
        valid: the verdict of `validate`.
        hashes: what `download` recorded; not there for what a person brought.
        source: the data set.
    """
    urls = {archive.filename: archive.url for archive in source.archives}
    known = files.read_json(hashes) if hashes.is_file() else {}
    raw = [
        Raw(name, urls.get(name) or "brought by hand", facts["sha256"])
        for name, facts in known.items()
    ]
    return Data(files.read_json(valid)["records"], raw, source.licence)


def _picture(path: Path, caption: str) -> Picture:
    """Return a PNG for the page, smaller where it is large."""
    if not path.is_file():
        raise ValueError(f"{path} is missing; `dvc repro` makes it")
    content, kind = path.read_bytes(), "png"
    with Image.open(io.BytesIO(content)) as picture:
        width, height = picture.size
        if len(content) > AS_IT_IS:
            smaller = picture.convert("RGB")
            smaller.thumbnail((WIDEST, WIDEST * height))
            width, height = smaller.size
            buffer = io.BytesIO()
            smaller.save(buffer, "WEBP", quality=QUALITY, method=6)
            content, kind = buffer.getvalue(), "webp"
    told = base64.b64encode(content).decode()
    return Picture(f"data:image/{kind};base64,{told}", width, height, caption)
