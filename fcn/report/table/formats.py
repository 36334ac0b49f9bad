"""The table as Markdown, for people, and as CSV, for programs."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from fcn.report.table import grids, notes
from fcn.report.table.content import Report
from fcn.scores.metrics import SCORES


def to_markdown(report: Report) -> str:
    """Return the table in percent, what its numbers mean, and its sources."""
    return "\n".join(
        [
            f"# {report.title}",
            "",
            *_align(*grids.format_scores(report)),
            "",
            "IoU by class:",
            "",
            *_align(*grids.format_class_iou(report)),
            "",
            *_compare_published(report),
            *(f"- {note}" for note in notes.describe_scores(report)),
            "",
        ]
    )


def _compare_published(report: Report) -> list[str]:
    if not report.cells:
        return []
    grid, sources = grids.format_published(report)
    return [
        "Comparison with published numbers:",
        "",
        *_align(*grid),
        "",
        *(f"{number}. {source}" for number, source in enumerate(sources, start=1)),
        "",
        f"- {notes.describe_verdicts(report)}",
    ]


def _align(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """Return Markdown lines with aligned columns: the first left, the others right."""
    widths = [
        max(3, *(len(line[column]) for line in [head, *lines])) for column in range(len(head))
    ]

    def pad(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [pad(head), pad(rule), *(pad(line) for line in lines)]


def to_csv(report: Report) -> str:
    """Return a line per row: `row` is its key, every score a fraction."""
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
        scores: list[Any] = [row.scores[name] for name in SCORES]
        class_iou = [row.class_iou[name] for name in classes]
        interval = [row.interval.low, row.interval.high]
        writer.writerow(
            [row.key, row.name, *scores, *interval, row.stride, row.ceiling, *class_iou]
        )
    return text.getvalue()
