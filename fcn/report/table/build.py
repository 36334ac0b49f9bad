"""Build a table's rows and published cells from the files that `evaluate` wrote."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fcn.common import files
from fcn.report.table import verdicts
from fcn.report.table.content import Row
from fcn.report.table.verdicts import Measurement, PublishedCell
from fcn.scores import metrics, per_image
from fcn.scores.per_image import PerImageCounts
from fcn.settings.common import Intervals
from fcn.settings.published import Published
from fcn.settings.table import Table
from fcn.uncertainty import intervals
from fcn.uncertainty.intervals import Interval
from fcn.uncertainty.statistic import build_statistic


class Evaluations:
    """The evaluations of a table's models, each read once and checked against the others."""

    def __init__(
        self, metrics_folder: Path, details_folder: Path, settings: Intervals, seed: int
    ) -> None:
        """Take the folders of metrics and of per-image counts, and the bootstrap's settings."""
        self._metrics_folder, self._details_folder = metrics_folder, details_folder
        self._settings, self._seed = settings, seed
        self._cache: dict[str, tuple[dict[str, Any], PerImageCounts]] = {}

    def ceilings(self) -> dict[str, Any]:
        """Return the metrics of the ground-truth masks (`fcn.labels.ceiling`)."""
        return files.read_json(self._metrics_folder / "ceiling.json")

    def metrics(self, key: str) -> dict[str, Any]:
        """Return the metrics of a model; raises as `images` does."""
        return self._read(key)[0]

    def images(self, key: str) -> PerImageCounts:
        """Return the per-image counts of a model.

        Raises:
            ValueError: its metrics do not follow from them, or it was measured on other images
                than the models before.
        """
        return self._read(key)[1]

    def _read(self, key: str) -> tuple[dict[str, Any], PerImageCounts]:
        if key in self._cache:
            return self._cache[key]
        path = self._metrics_folder / f"{key}.json"
        counts_path = self._details_folder / key / per_image.FILE
        values, images = files.read_json(path), per_image.read(counts_path)
        for name, value in metrics.scores(images.total).items():
            if values.get(name) != value:
                raise ValueError(
                    f"{path}: {name} is {values.get(name)}, but the counts in {counts_path} give "
                    f"{value}; one of the two was changed by hand: run "
                    f"`dvc repro --force evaluate@{key}`"
                )
        for previous_key, (_, previous) in self._cache.items():
            if previous.ids != images.ids:
                raise ValueError(f"{key} was measured on other images than {previous_key}")
        self._cache[key] = values, images
        return self._cache[key]

    def resample(
        self, key: str, metric: str = "mean_iou", convention: str = "berkeley"
    ) -> np.ndarray:
        """Return a score of each bootstrap resample; the same images are drawn for every model."""
        score = build_statistic(self.images(key), metric, convention)
        return score.resample(self._settings.resamples, self._seed)

    def interval(self, values: np.ndarray) -> Interval:
        """Return the interval of resampled values at the level in the settings."""
        return intervals.percentile_interval(values, self._settings.level)

    def measure(self, keys: tuple[str, ...], metric: str, convention: str) -> Measurement:
        """Return a score over a row's trainings, with the noise of images and trainings."""
        values = [build_statistic(self.images(key), metric, convention).value for key in keys]
        images = self.interval(self.resample(keys[0], metric, convention))
        return verdicts.combine_noise(values, images, self._settings.level)


def build_rows(table: Table, evaluations: Evaluations) -> list[Row]:
    """Return the table's rows from top to bottom, each compared with the previous one."""
    rows: list[Row] = []
    previous = None
    ceilings = evaluations.ceilings()["mean_iou"]
    for key, name in table.rows.items():
        values, images = evaluations.metrics(key), evaluations.images(key)
        resampled = evaluations.resample(key)
        gain = None
        if previous is not None:
            gain = (
                values["mean_iou"] - rows[-1].scores["mean_iou"],
                evaluations.interval(resampled - previous),
            )
        rows.append(
            Row(
                key=key,
                name=name,
                stride=values["stride"],
                scores={score: values[score] for score in metrics.SCORES},
                class_iou=values["class_iou"],
                ceiling=ceilings.get(str(values["stride"])),
                interval=evaluations.interval(resampled),
                units=int(images.resampling_units().max()) + 1,
                gain=gain,
                trainings=tuple(
                    evaluations.metrics(training)["mean_iou"]
                    for training in (key, *table.replicas.get(key, ()))
                ),
            )
        )
        previous = resampled
    return rows


def compare_published(
    entries: Mapping[str, Published], table: Table, evaluations: Evaluations
) -> list[PublishedCell]:
    """Return every published number and its comparison, in the order of the settings."""
    return [
        _compare(entry, metric, value, table, evaluations)
        for entry in entries.values()
        for metric, value in entry.values.items()
    ]


def _compare(
    entry: Published, metric: str, value: float, table: Table, evaluations: Evaluations
) -> PublishedCell:
    measured, verdict, reason = None, "not run here", entry.not_run or ""
    if entry.row is not None:
        if metric != "milliseconds":
            keys = (entry.row, *table.replicas.get(entry.row, ()))
            measured = evaluations.measure(keys, metric, entry.convention)
        if entry.differs is not None or measured is None:
            verdict, reason = "not comparable", entry.differs or ""
        else:
            verdict = verdicts.judge(measured, value)
    return PublishedCell(
        network=entry.name,
        row=entry.row,
        metric=metric,
        convention=entry.convention,
        published=value,
        measured=measured,
        verdict=verdict,
        reason=reason,
        source=entry.source + ("" if entry.confirmed else " (unconfirmed)"),
        split=entry.split,
        conditions=entry.conditions,
    )
