"""A table as one page: everything a person asks about its numbers, in one HTML file.

It loads nothing: style, drawings and pictures stand in it. It holds no date and no time, so that
the same results give the same bytes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from fcn.report import charts
from fcn.report import table as report
from fcn.report.evidence import Behind, Data, Labels
from fcn.report.table import Report

TEMPLATES = Path(__file__).with_name("templates")
MORE = {
    "mean_dice": "mean Dice",
    "boundary_iou": "boundary IoU",
    "calibration_error": "calibration error",
}
"""Further measures of a row's metrics file, as the page calls them."""


@dataclass(frozen=True)
class Content:
    """All that the page says."""

    key: str
    report: Report
    rows: Sequence[Behind]
    """In the order of the report's rows."""
    labels: Labels
    data: Data


def page(content: Content) -> str:
    """Return the page."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    templates.filters |= {
        "percent": report.percent,
        "between": report.between,
        "curve": charts.curve,
        "code": _code,
        "linked": _linked,
    }
    said = content.report
    return templates.get_template("page.html.j2").render(
        key=content.key,
        report=said,
        rows=content.rows,
        labels=content.labels,
        data=content.data,
        classes=list(said.rows[0].class_iou),
        scores=_with_verdicts(said),
        by_class=report.by_class(said),
        notes=report.notes(said),
        beside=report.beside(said),
        noise=report.noise(said),
        conditions=list(
            dict.fromkeys((c.network, c.split, c.conditions, c.source) for c in said.cells)
        ),
        more=_more(content.rows),
    )


def _with_verdicts(said: Report) -> report.Grid:
    """Return the table; where anything was published, with each row's verdicts."""
    head, lines = report.scores(said)
    if not said.cells:
        return head, lines
    verdicts = [
        ", ".join(dict.fromkeys(cell.verdict for cell in said.cells if cell.row == row.key)) or "–"
        for row in said.rows
    ]
    return [*head, "verdict"], [
        [*line, verdict] for line, verdict in zip(lines, verdicts, strict=True)
    ]


def _more(rows: Sequence[Behind]) -> report.Grid:
    """Return the measures that the table has no column for, in percent."""
    bands = list(rows[0].measures["trimap_iou"])
    head = ["network", *MORE.values(), *(f"edge {band} px" for band in bands)]
    return head, [
        [
            of.row.name,
            *(report.percent(of.measures[name]) for name in MORE),
            *(report.percent(of.measures["trimap_iou"][band]) for band in bands),
        ]
        for of in rows
    ]


def _code(text: str) -> Markup:
    """Return a line of Markdown's `code` as HTML."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704


def _linked(text: str) -> Markup:
    """Return an address as a link; what is none stays text."""
    if not text.startswith(("https://", "http://")):
        return escape(text)
    return Markup('<a href="{0}">{0}</a>').format(text)
