"""Render a table and the evidence for its numbers as one HTML file.

The page loads nothing: style, drawings and pictures are inside. It has no date and no time, so that
the same results give the same bytes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from fcn.report.page import charts
from fcn.report.page.evidence import DataProvenance, LabelReport, RowEvidence
from fcn.report.table import grids, notes
from fcn.report.table.content import Report
from fcn.report.table.grids import Grid

TEMPLATES = Path(__file__).parent
MORE_TITLES = {
    "mean_dice": "mean Dice",
    "boundary_iou": "boundary IoU",
    "calibration_error": "calibration error",
}
"""Column heads of further scores in a row's metrics file."""


@dataclass(frozen=True)
class PageContent:
    """All that the page shows."""

    key: str
    report: Report
    rows: Sequence[RowEvidence]
    """In the order of the report's rows."""
    labels: LabelReport
    data: DataProvenance


def render_page(content: PageContent) -> str:
    """Return the page as HTML."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    templates.filters |= {
        "percent": grids.format_percent,
        "interval": grids.format_interval,
        "curve": charts.draw_curve,
        "code": _mark_code,
        "link": _link,
    }
    report = content.report
    return templates.get_template("page.html.j2").render(
        key=content.key,
        report=report,
        rows=content.rows,
        labels=content.labels,
        data=content.data,
        classes=list(report.rows[0].class_iou),
        scores=_format_scores(report),
        notes=notes.describe_scores(report),
        published=grids.format_published(report),
        verdict_note=notes.describe_verdicts(report),
        conditions=list(
            dict.fromkeys((c.network, c.split, c.conditions, c.source) for c in report.cells)
        ),
        more=_format_more_scores(content.rows),
    )


def _format_scores(report: Report) -> Grid:
    """Return the table with mean IoU first, which a phone shows without scrolling.

    If it has published numbers, each row has its verdicts.
    """
    head, lines = grids.format_scores(report)
    first = head.index(grids.TITLES["mean_iou"])
    head, *lines = (
        [line[0], line[first], *line[1:first], *line[first + 1 :]] for line in (head, *lines)
    )
    if not report.cells:
        return head, lines
    verdicts = [
        ", ".join(dict.fromkeys(cell.verdict for cell in report.cells if cell.row == row.key))
        or "–"
        for row in report.rows
    ]
    return [*head, "verdict"], [
        [*line, verdict] for line, verdict in zip(lines, verdicts, strict=True)
    ]


def _format_more_scores(rows: Sequence[RowEvidence]) -> Grid:
    """Return the scores that the table has no column for, in percent."""
    bands = list(rows[0].metrics["trimap_iou"])
    head = ["network", *MORE_TITLES.values(), *(f"edge {band} px" for band in bands)]
    return head, [
        [
            evidence.row.name,
            *(grids.format_percent(evidence.metrics[name]) for name in MORE_TITLES),
            *(grids.format_percent(evidence.metrics["trimap_iou"][band]) for band in bands),
        ]
        for evidence in rows
    ]


def _mark_code(text: str) -> Markup:
    """Return Markdown's `code` in a text as HTML."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704


def _link(text: str) -> Markup:
    """Return a web address as a link, any other text unchanged."""
    if not text.startswith(("https://", "http://")):
        return escape(text)
    return Markup('<a href="{0}">{0}</a>').format(text)
