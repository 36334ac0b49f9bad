"""The rows of a table and the published cells beside them, from what `evaluate` left of each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fcn.common import files
from fcn.report import verdicts
from fcn.report.table import Row
from fcn.report.verdicts import Cell, Measured
from fcn.scores import metrics, per_image
from fcn.scores.per_image import PerImageCounts
from fcn.settings.common import Intervals
from fcn.settings.published import Published
from fcn.settings.table import Table
from fcn.uncertainty import intervals
from fcn.uncertainty.intervals import Interval
from fcn.uncertainty.statistic import build_statistic


class Evaluated:
    """What `evaluate` left of a table's models, read once and held against each other."""

    def __init__(self, folder: Path, details: Path, told: Intervals, seed: int) -> None:
        """Take the folders of metrics and of per-image counts."""
        self._folder, self._details, self._told, self._seed = folder, details, told, seed
        self._read: dict[str, tuple[dict[str, Any], PerImageCounts]] = {}

    def ceilings(self) -> dict[str, Any]:
        """Return the metrics of the masks themselves (`fcn.labels.ceiling`)."""
        return files.read_json(self._folder / "ceiling.json")

    def metrics(self, key: str) -> dict[str, Any]:
        """Return the metrics of a model; see `images`."""
        return self._of(key)[0]

    def images(self, key: str) -> PerImageCounts:
        """Return the counts of a model's images.

        Raises:
            ValueError: its metrics do not follow from them, or it was measured on other images
                than the models before.
        """
        return self._of(key)[1]

    def _of(self, key: str) -> tuple[dict[str, Any], PerImageCounts]:
        if key in self._read:
            return self._read[key]
        path = self._folder / f"{key}.json"
        said, images = files.read_json(path), per_image.read(self._details / key / per_image.FILE)
        for name, value in metrics.scores(images.total).items():
            if said.get(name) != value:
                raise ValueError(
                    f"{path}: {name} is {said.get(name)}, but the counts in "
                    f"{self._details / key / per_image.FILE} give {value}; one of the two was "
                    f"changed by hand: run `dvc repro --force evaluate@{key}`"
                )
        for other, (_, before) in self._read.items():
            if before.ids != images.ids:
                raise ValueError(f"{key} was measured on other images than {other}")
        self._read[key] = said, images
        return self._read[key]

    def resampled(
        self, key: str, metric: str = "mean_iou", convention: str = "berkeley"
    ) -> np.ndarray:
        """Return a score of each bootstrap resample; the same images are drawn for every model."""
        of = build_statistic(self.images(key), metric, convention)
        return of.resample(self._told.resamples, self._seed)

    def interval(self, values: np.ndarray) -> Interval:
        """Return the interval of resampled values at the level that the settings ask for."""
        return intervals.percentile_interval(values, self._told.level)

    def measured(self, keys: tuple[str, ...], metric: str, convention: str) -> Measured:
        """Return a score of one row over its trainings, with the noise of both."""
        values = [build_statistic(self.images(key), metric, convention).value for key in keys]
        images = self.interval(self.resampled(keys[0], metric, convention))
        return verdicts.measured(values, images, self._told.level)


def rows(table: Table, evaluated: Evaluated) -> list[Row]:
    """Return the table's rows from top to bottom, each compared with the one before."""
    found: list[Row] = []
    before = None
    ceilings = evaluated.ceilings()["mean_iou"]
    for key, name in table.rows.items():
        said, images = evaluated.metrics(key), evaluated.images(key)
        drawn = evaluated.resampled(key)
        gain = None
        if before is not None:
            gain = (
                said["mean_iou"] - found[-1].scores["mean_iou"],
                evaluated.interval(drawn - before),
            )
        found.append(
            Row(
                key=key,
                name=name,
                stride=said["stride"],
                scores={score: said[score] for score in metrics.SCORES},
                class_iou=said["class_iou"],
                ceiling=ceilings.get(str(said["stride"])),
                interval=evaluated.interval(drawn),
                units=int(images.resampling_units().max()) + 1,
                gain=gain,
                trainings=tuple(
                    evaluated.metrics(one)["mean_iou"]
                    for one in (key, *table.replicas.get(key, ()))
                ),
            )
        )
        before = drawn
    return found


def cells(told: Mapping[str, Published], table: Table, evaluated: Evaluated) -> list[Cell]:
    """Return every published number with what stands beside it, as the settings list them."""
    return [
        _cell(one, metric, value, table, evaluated)
        for one in told.values()
        for metric, value in one.values.items()
    ]


def _cell(one: Published, metric: str, value: float, table: Table, evaluated: Evaluated) -> Cell:
    here, verdict, reason = None, "not run here", one.not_run or ""
    if one.row is not None:
        if metric != "milliseconds":
            keys = (one.row, *table.replicas.get(one.row, ()))
            here = evaluated.measured(keys, metric, one.convention)
        if one.differs is not None or here is None:
            verdict, reason = "not comparable", one.differs or ""
        else:
            verdict = verdicts.verdict(here, value)
    return Cell(
        network=one.name,
        row=one.row,
        metric=metric,
        convention=one.convention,
        published=value,
        measured=here,
        verdict=verdict,
        reason=reason,
        source=one.source + ("" if one.confirmed else " (unconfirmed)"),
        split=one.split,
        conditions=one.conditions,
    )
