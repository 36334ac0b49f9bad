"""The table's numbers as grids of text, for Markdown and for the page."""

import statistics

from fcn.report.table.content import Report, Row
from fcn.report.table.verdicts import PublishedCell
from fcn.scores.metrics import SCORES
from fcn.uncertainty.intervals import Interval

TITLES = {
    "pixel_accuracy": "pixel accuracy",
    "mean_accuracy": "mean accuracy",
    "mean_iou": "mean IoU",
    "frequency_weighted_iou": "f.w. IoU",
}
"""Column heads of the scores that every row has."""
PUBLISHED_ONLY_TITLES = {"foreground_iou": "foreground IoU", "milliseconds": "ms per image"}

Grid = tuple[list[str], list[list[str]]]
"""The head of a table and its lines."""


def format_scores(report: Report) -> Grid:
    """Return the table itself, in percent."""
    has_replicas = any(len(row.trainings) > 1 for row in report.rows)
    head = ["network", *TITLES.values(), "gain", "stride", "ceiling"]
    head += ["trainings"] if has_replicas else []
    lines = [
        [
            row.name,
            *(_format_score(row, name) for name in SCORES),
            "–" if row.gain is None else f"{100 * row.gain[0]:+.1f} {format_interval(row.gain[1])}",
            str(row.stride),
            format_percent(row.ceiling),
            *([_format_trainings(row)] if has_replicas else []),
        ]
        for row in report.rows
    ]
    return head, lines


def format_class_iou(report: Report) -> Grid:
    """Return the IoU of each class, in percent."""
    classes = list(report.rows[0].class_iou)
    lines = [
        [row.name, *(format_percent(row.class_iou[name]) for name in classes)]
        for row in report.rows
    ]
    return ["network", *classes], lines


def format_published(report: Report) -> tuple[Grid, list[str]]:
    """Return the published numbers beside the measured ones, and the numbered sources."""
    sources = list(dict.fromkeys(cell.source for cell in report.cells))
    names = {row.key: row.name for row in report.rows}
    lines = [
        [
            f"{cell.network} [{sources.index(cell.source) + 1}]",
            _format_metric(cell),
            f"{cell.published:g}",
            names.get(cell.row or "", "–"),
            _format_measurement(cell),
            cell.verdict + (f": {cell.reason}" if cell.reason else ""),
        ]
        for cell in report.cells
    ]
    return (
        ["published network", "metric", "published", "row", "measured", "verdict"],
        lines,
    ), sources


def format_percent(value: float | None) -> str:
    """Return a fraction in percent, a dash for None."""
    return "–" if value is None else f"{100 * value:.1f}"


def format_interval(interval: Interval) -> str:
    """Return an interval in percent, in brackets."""
    return f"[{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def _format_score(row: Row, name: str) -> str:
    interval = f" {format_interval(row.interval)}" if name == "mean_iou" else ""
    return format_percent(row.scores[name]) + interval


def _format_trainings(row: Row) -> str:
    values = [100 * value for value in row.trainings]
    if len(values) == 1:
        return "1"
    return f"{len(values)}: {statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"


def _format_metric(cell: PublishedCell) -> str:
    convention = "" if cell.convention == "berkeley" else f", {cell.convention}"
    return (TITLES | PUBLISHED_ONLY_TITLES)[cell.metric] + convention


def _format_measurement(cell: PublishedCell) -> str:
    if cell.measured is None:
        return "–"
    return f"{100 * cell.measured.value:.1f} {format_interval(cell.measured.noise)}"
