"""The table: rows of measured numbers, as Markdown to read and CSV to compute with."""

import csv
import io
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fcn.datasets.shared.overlap import Overlap
from fcn.report.verdicts import FIELD_SPREAD, Cell
from fcn.scores.metrics import ABSENT, SCORES
from fcn.uncertainty.intervals import MIN_UNITS, Interval

TITLES = {
    "pixel_accuracy": "pixel accuracy",
    "mean_accuracy": "mean accuracy",
    "mean_iou": "mean IoU",
    "frequency_weighted_iou": "f.w. IoU",
}
ALSO_PUBLISHED = {"foreground_iou": "foreground IoU", "milliseconds": "ms per image"}


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
    """Mean IoU of the masks themselves through this stride."""
    interval: Interval
    """Of mean IoU."""
    units: int
    """Images, or groups of images, that were drawn one by one for the intervals."""
    gain: tuple[float, Interval] | None
    """Mean IoU less the row's before it, on the same images; None in the first row."""
    trainings: tuple[float, ...]
    """Mean IoU of each training of this row; the first is the row's own, the others differ in
    their seed."""


@dataclass(frozen=True)
class Report:
    """All that the table says."""

    title: str
    split: str
    examples: int
    level: float
    """Of the intervals, as a fraction."""
    method: str
    """How the ceilings were measured; see `fcn.labels.ceiling`."""
    rows: Sequence[Row]
    cells: Sequence[Cell]
    """What others published, and the verdicts."""
    classifiers: dict[str, float]
    """Accuracy on unseen objects by backbone."""
    overlaps: Sequence[Overlap]
    """Likenesses between splits that the data set's file accepts."""
    citation: str


Grid = tuple[list[str], list[list[str]]]
"""The head of a table and its lines."""


def markdown(report: Report) -> str:
    """Return the table in percent, its convention and its sources."""
    return "\n".join(
        [
            f"# {report.title}",
            "",
            *_grid(*scores(report)),
            "",
            "IoU by class:",
            "",
            *_grid(*by_class(report)),
            "",
            *_beside(report),
            *(f"- {note}" for note in notes(report)),
            "",
        ]
    )


def scores(report: Report) -> Grid:
    """Return the table itself, in percent."""
    several = any(len(row.trainings) > 1 for row in report.rows)
    head = ["network", *(TITLES[name] for name in SCORES), "gain", "stride", "ceiling"]
    head += ["trainings"] if several else []
    rows = [
        [
            row.name,
            *(_score(row, name) for name in SCORES),
            "–" if row.gain is None else f"{100 * row.gain[0]:+.1f} {between(row.gain[1])}",
            str(row.stride),
            percent(row.ceiling),
            *([_trainings(row)] if several else []),
        ]
        for row in report.rows
    ]
    return head, rows


def by_class(report: Report) -> Grid:
    """Return each class's IoU in percent."""
    classes = list(report.rows[0].class_iou)
    rows = [[row.name, *(percent(row.class_iou[name]) for name in classes)] for row in report.rows]
    return ["network", *classes], rows


def notes(report: Report) -> list[str]:
    """Return what the numbers mean, as lines of Markdown."""
    return [
        f"Split `{report.split}`, {report.examples} images, at the labels' own size, in percent.",
        f"One confusion matrix over the whole split; {ABSENT}.",
        f"In brackets: {100 * report.level:g} % bootstrap intervals over {_drawn(report)}. "
        f"Gain: mean IoU less the row before's, on the same images. {_trained(report)}",
        f"Ceiling: mean IoU of the masks themselves made coarse by the stride and fine again "
        f"(`{report.method}`); a yardstick, not a bound: learned upsampling can beat it.",
        *(
            f"Backbone `{name}`: its classifier names {percent(value)} % of unseen objects right."
            for name, value in report.classifiers.items()
        ),
        *(
            f"Accepted in these data (`{overlap.rule}`, {' and '.join(overlap.splits)}): "
            f"{overlap.reason}"
            for overlap in report.overlaps
        ),
        f"Data: {report.citation}",
    ]


def _beside(report: Report) -> list[str]:
    """Return the published numbers, what stands beside them here, and where they come from."""
    if not report.cells:
        return []
    head, lines, sources = beside(report)
    return [
        "Beside the published numbers:",
        "",
        *_grid(head, lines),
        "",
        *(f"{number}. {source}" for number, source in enumerate(sources, start=1)),
        "",
        f"- {noise(report)}",
    ]


def beside(report: Report) -> tuple[list[str], list[list[str]], list[str]]:
    """Return the published numbers as a table, and the sources that its first column numbers."""
    sources = list(dict.fromkeys(cell.source for cell in report.cells))
    names = {row.key: row.name for row in report.rows}
    lines = [
        [
            f"{cell.network} [{sources.index(cell.source) + 1}]",
            _metric(cell),
            f"{cell.published:g}",
            names.get(cell.row or "", "–"),
            _here(cell),
            cell.verdict + (f": {cell.reason}" if cell.reason else ""),
        ]
        for cell in report.cells
    ]
    return ["published for", "metric", "published", "row", "here", "verdict"], lines, sources


def noise(report: Report) -> str:
    """Return what the verdicts mean."""
    once = any(cell.measured and cell.measured.trainings == 1 for cell in report.cells)
    return (
        "In brackets: the noise of another set of images and another training together; "
        "reproduced: the published number lies within it and no further than "
        f"{100 * FIELD_SPREAD:g} points away; within noise: the first only."
        + (
            f" Where a row was trained once, ±{100 * FIELD_SPREAD:g} points, about what the field "
            "reports, stand in for the spread between trainings."
            if once
            else ""
        )
    )


def _metric(cell: Cell) -> str:
    convention = "" if cell.convention == "berkeley" else f", {cell.convention}"
    return (TITLES | ALSO_PUBLISHED)[cell.metric] + convention


def _here(cell: Cell) -> str:
    here = cell.measured
    return "–" if here is None else f"{100 * here.value:.1f} {between(here.noise)}"


def _trainings(row: Row) -> str:
    values = [100 * value for value in row.trainings]
    if len(values) == 1:
        return "1"
    return f"{len(values)}: {statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"


def _trained(report: Report) -> str:
    once = [row.name for row in report.rows if len(row.trainings) == 1]
    if len(once) == len(report.rows):
        return "Each row was trained once; the spread between trainings is not in the intervals."
    said = "Trainings: how many with different seeds, mean and standard deviation of mean IoU"
    return f"{said}; {', '.join(once)}: once." if once else f"{said}."


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
    return alike if units >= MIN_UNITS else f"{alike}; so few groups say little"


def _score(row: Row, name: str) -> str:
    interval = f" {between(row.interval)}" if name == "mean_iou" else ""
    return percent(row.scores[name]) + interval


def between(interval: Interval) -> str:
    """Return an interval in percent, in brackets."""
    return f"[{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def percent(value: float | None) -> str:
    """Return a fraction in percent, a dash for none."""
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
