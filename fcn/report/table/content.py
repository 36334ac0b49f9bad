"""The values that a table reports, before they become text."""

from collections.abc import Sequence
from dataclasses import dataclass

from fcn.records.sample import Overlap
from fcn.report.table.verdicts import PublishedCell
from fcn.uncertainty.intervals import Interval


@dataclass(frozen=True)
class Row:
    """One trained network."""

    key: str
    name: str
    stride: int
    scores: dict[str, float]
    """By name in `fcn.scores.metrics.SCORES`, as fractions."""
    class_iou: dict[str, float | None]
    ceiling: float | None
    """Mean IoU of the ground-truth masks at this stride; see `fcn.labels.ceiling`."""
    interval: Interval
    """Of mean IoU."""
    units: int
    """Images, or groups of images, that the intervals resample."""
    gain: tuple[float, Interval] | None
    """Mean IoU minus the previous row's, on the same images; None in the first row."""
    trainings: tuple[float, ...]
    """Mean IoU of each training of this row: the row's own first, then its replicas'."""


@dataclass(frozen=True)
class Report:
    """All that the table shows."""

    title: str
    split: str
    images: int
    level: float
    """Of the intervals, as a fraction."""
    method: str
    """How the ceilings were measured; see `fcn.labels.ceiling`."""
    rows: Sequence[Row]
    cells: Sequence[PublishedCell]
    """Published numbers and their verdicts."""
    classifiers: dict[str, float]
    """Accuracy on unseen objects by backbone."""
    overlaps: Sequence[Overlap]
    """Similarities between splits that the data set's file accepts."""
    citation: str
