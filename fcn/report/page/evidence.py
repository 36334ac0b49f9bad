"""The evidence for a table's numbers, read from the stages' files for the page."""

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
from fcn.common.text import file_name
from fcn.datasets.shared.dataset import Dataset
from fcn.report.table.build import Evaluations
from fcn.report.table.content import Row
from fcn.report.table.grids import format_percent
from fcn.scores import extremes
from fcn.settings.stages import TableSettings

MAX_PNG_BYTES = 48_000
"""A larger PNG is embedded as WebP."""
MAX_WIDTH = 1280
"""In pixels; a wider picture that is embedded as WebP is reduced."""
WEBP_QUALITY = 80
PICTURES_PER_FOLDER = 4
"""Pictures that the page shows from each folder of the label report's gallery."""


@dataclass(frozen=True)
class EmbeddedPicture:
    """A picture inside the page."""

    address: str
    """`data:image/...`: the picture itself."""
    width: int
    height: int
    caption: str


@dataclass(frozen=True)
class RowEvidence:
    """The evidence for one row."""

    row: Row
    metrics: Mapping[str, Any]
    """Its metrics file."""
    curve: Sequence[Mapping[str, float]]
    """A line per epoch: `epoch`, `step`, `loss` and what was measured."""
    shares: np.ndarray
    """The confusion matrix as shares of each true class, K K; 0 for a class absent from truth."""
    pictures: Mapping[str, Sequence[EmbeddedPicture]]
    """Best, median and worst images."""
    training_images: int
    """Training images that the network processed, repetitions included."""
    earlier_training_images: int
    """The same, summed over the models that it was initialised from."""


@dataclass(frozen=True)
class LabelReport:
    """The label report of the data set."""

    content: Mapping[str, Any]
    """See `fcn.labels.findings.CheckedRecords.content`."""
    pictures: Mapping[str, Sequence[EmbeddedPicture]]
    """By their folder in the report's gallery: `examples/SPLIT`, `offenders`."""


@dataclass(frozen=True)
class RawFile:
    """One file of the publisher."""

    name: str
    source: str
    sha256: str


@dataclass(frozen=True)
class DataProvenance:
    """Where the data come from."""

    records: str
    """SHA-256 of the records."""
    raw: Sequence[RawFile]
    licence: str


def read_rows(
    rows: Sequence[Row],
    settings: TableSettings,
    evaluations: Evaluations,
    plots: Path,
    details: Path,
) -> list[RowEvidence]:
    """Return the evidence for each row of a table.

    Args:
        rows: of the table.
        settings: of the table.
        evaluations: of the rows' models.
        plots: the folder of loss curves.
        details: the folder of compared pictures.
    """
    return [_read_row(row, settings, evaluations, plots, details) for row in rows]


def _read_row(
    row: Row, settings: TableSettings, evaluations: Evaluations, plots: Path, details: Path
) -> RowEvidence:
    images = evaluations.images(row.key)
    scores = extremes.mean_iou_by_image(images)
    count = settings.table.evaluation.pictures
    pictures = {
        rank: [
            _embed(
                details / row.key / f"{file_name(images.ids[number])}.png",
                f"{images.ids[number]}: mean IoU {format_percent(scores[number])}",
            )
            for number in numbers
        ]
        for rank, numbers in extremes.select(images, count).items()
    }
    keys = _trace_models(row.key, settings)
    curves = [_read_curve(plots / key / "loss.csv") for key in keys]
    training_images, *earlier = (
        int(lines[-1]["step"]) * settings.models[key].training.batch
        for key, lines in zip(keys, curves, strict=True)
    )
    return RowEvidence(
        row=row,
        metrics=evaluations.metrics(row.key),
        curve=curves[0],
        shares=images.total / np.maximum(images.total.sum(axis=1, keepdims=True), 1),
        pictures=pictures,
        training_images=training_images,
        earlier_training_images=sum(earlier),
    )


def _trace_models(key: str, settings: TableSettings) -> list[str]:
    """Return a model and the models that it was initialised from, the earliest last."""
    origin = settings.models[key].init_from
    return [key, *(_trace_models(origin, settings) if origin in settings.models else [])]


def _read_curve(path: Path) -> list[dict[str, float]]:
    """Read the loss curve that `train` wrote."""
    if not path.is_file():
        raise ValueError(f"{path} is missing; `dvc repro` makes it")
    with path.open(encoding="utf-8", newline="") as file:
        lines = [
            {name: float(value) for name, value in line.items()} for line in csv.DictReader(file)
        ]
    if not lines or not {"epoch", "step", "loss"} <= lines[0].keys():
        raise ValueError(f"{path} is not a loss curve; `dvc repro` makes it")
    return lines


def read_label_report(report: Path, gallery: Path) -> LabelReport:
    """Return the report that `validate` wrote, with some of its pictures."""
    folders = sorted(path for path in gallery.rglob("*") if path.is_dir())
    pictures = {
        folder.relative_to(gallery).as_posix(): [
            _embed(path, path.stem) for path in sorted(folder.glob("*.png"))[:PICTURES_PER_FOLDER]
        ]
        for folder in folders
    }
    return LabelReport(files.read_json(report), pictures)


def read_provenance(valid: Path, hashes: Path, source: Dataset) -> DataProvenance:
    """Return where the data come from.

    Args:
        valid: the verdict of `validate`.
        hashes: written by `download`; missing if the data set is not downloaded.
        source: the data set.
    """
    urls = {archive.filename: archive.url for archive in source.archives}
    recorded = files.read_json(hashes) if hashes.is_file() else {}
    raw = [
        RawFile(name, urls.get(name) or "placed by hand", entry["sha256"])
        for name, entry in recorded.items()
    ]
    return DataProvenance(files.read_json(valid)["records"], raw, source.licence)


def _embed(path: Path, caption: str) -> EmbeddedPicture:
    """Return a PNG for the page, as a smaller WebP if it is large."""
    if not path.is_file():
        raise ValueError(f"{path} is missing; `dvc repro` makes it")
    content, kind = path.read_bytes(), "png"
    with Image.open(io.BytesIO(content)) as picture:
        width, height = picture.size
        if len(content) > MAX_PNG_BYTES:
            reduced = picture.convert("RGB")
            reduced.thumbnail((MAX_WIDTH, MAX_WIDTH * height))
            width, height = reduced.size
            buffer = io.BytesIO()
            reduced.save(buffer, "WEBP", quality=WEBP_QUALITY, method=6)
            content, kind = buffer.getvalue(), "webp"
    encoded = base64.b64encode(content).decode()
    return EmbeddedPicture(f"data:image/{kind};base64,{encoded}", width, height, caption)
