"""The table: rows of measured numbers, as Markdown to read and CSV to compute with."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fcn.dataset import Overlap
from fcn.intervals import FEW, Interval
from fcn.metrics import ABSENT, SCORES

TITLES = {
    "pixel_accuracy": "pixel accuracy",
    "mean_accuracy": "mean accuracy",
    "mean_iou": "mean IoU",
    "frequency_weighted_iou": "f.w. IoU",
}


@dataclass(frozen=True)
class Row:
    """One trained network."""

    key: str
    name: str
    stride: int
    scores: dict[str, float]
    """By name in `fcn.metrics.SCORES`, as fractions."""
    class_iou: dict[str, float | None]
    ceiling: float | None
    """Mean IoU of the masks themselves through this stride."""
    interval: Interval
    """Of mean IoU."""
    units: int
    """Images, or groups of images, that were drawn one by one for the intervals."""
    gain: tuple[float, Interval] | None
    """Mean IoU less the row's before it, on the same images; None in the first row."""


@dataclass(frozen=True)
class Report:
    """All that the table says."""

    title: str
    split: str
    examples: int
    level: float
    """Of the intervals, as a fraction."""
    method: str
    """How the ceilings were measured; see `fcn.ceiling`."""
    rows: Sequence[Row]
    classifiers: dict[str, float]
    """Accuracy on unseen objects by backbone."""
    overlaps: Sequence[Overlap]
    """Likenesses between splits that the data set's file accepts."""
    citation: str


def markdown(report: Report) -> str:
    """Return the table in percent, its policy and its sources."""
    head = ["network", *(TITLES[name] for name in SCORES), "gain", "stride", "ceiling"]
    rows = [
        [
            row.name,
            *(_score(row, name) for name in SCORES),
            "–" if row.gain is None else f"{100 * row.gain[0]:+.1f} {_between(row.gain[1])}",
            str(row.stride),
            _percent(row.ceiling),
        ]
        for row in report.rows
    ]
    classes = list(report.rows[0].class_iou)
    by_class = [
        [row.name, *(_percent(row.class_iou[name]) for name in classes)] for row in report.rows
    ]
    notes = [
        f"Split `{report.split}`, {report.examples} images, at the labels' own size, in percent.",
        f"One confusion matrix over the whole split; {ABSENT}.",
        f"In brackets: {100 * report.level:g} % bootstrap intervals over {_drawn(report)}. "
        "Gain: mean IoU less the row before's, on the same images. Each row was trained once; the "
        "spread between trainings is not in the intervals.",
        f"Ceiling: mean IoU of the masks themselves made coarse by the stride and fine again "
        f"(`{report.method}`); a yardstick, not a bound: learned upsampling can beat it.",
        *(
            f"Backbone `{name}`: its classifier names {_percent(value)} % of unseen objects right."
            for name, value in report.classifiers.items()
        ),
        *(
            f"Accepted in these data (`{overlap.rule}`, {' and '.join(overlap.splits)}): "
            f"{overlap.reason}"
            for overlap in report.overlaps
        ),
        f"Data: {report.citation}",
    ]
    return "\n".join(
        [
            f"# {report.title}",
            "",
            *_grid(head, rows),
            "",
            "IoU by class:",
            "",
            *_grid(["network", *classes], by_class),
            "",
            *(f"- {note}" for note in notes),
            "",
        ]
    )


def comma_separated(report: Report) -> str:
    """Return a row per network: `row` is its key, every number a fraction."""
    text = io.StringIO()
    classes = list(report.rows[0].class_iou)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            *("row", "name", *SCORES, "mean_iou_low", "mean_iou_high"),
            *("stride", "ceiling", *(f"iou_{name}" for name in classes)),
        ]
    )
    for row in report.rows:
        numbers: list[Any] = [row.scores[name] for name in SCORES]
        by_class = [row.class_iou[name] for name in classes]
        interval = [row.interval.low, row.interval.high]
        writer.writerow(
            [row.key, row.name, *numbers, *interval, row.stride, row.ceiling, *by_class]
        )
    return text.getvalue()


def _drawn(report: Report) -> str:
    units = report.rows[0].units
    if units == report.examples:
        return "images"
    alike = f"{units} groups of images, each drawn as a whole (the frames of one video)"
    return alike if units >= FEW else f"{alike}; so few groups say little"


def _score(row: Row, name: str) -> str:
    interval = f" {_between(row.interval)}" if name == "mean_iou" else ""
    return _percent(row.scores[name]) + interval


def _between(interval: Interval) -> str:
    return f"[{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return Markdown lines, columns aligned: the first left, numbers right."""
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    widths = [max(3, width) for width in widths]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [line(head), line(rule), *(line(row) for row in rows)]
