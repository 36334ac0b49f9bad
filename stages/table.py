r"""Put the table and its page together from what the other stages left of its rows.

Run:
    python -m stages.table digits --metrics data/metrics/digits \
        --details data/evaluations/digits --markdown data/tables/digits.md \
        --csv data/tables/digits.csv --json data/tables/digits.json \
        --plots data/plots/digits --reports data/reports/digits --hashes data/hashes \
        --html data/tables/digits.html

The JSON file holds every published cell with its verdict. The one that is already there says what
was reproduced before: with `gate: reproduced` none of it may be lost.
"""

from pathlib import Path
from typing import Annotated

from typer import Option

from fcn.cli import arguments, command_line
from fcn.common import files, messages
from fcn.datasets.shared import catalogue
from fcn.report.page import evidence
from fcn.report.page.render import PageContent, render_page
from fcn.report.table import formats, verdicts
from fcn.report.table.build import Evaluations, build_rows, compare_published
from fcn.report.table.content import Report
from fcn.settings import reader
from fcn.settings.table import TableFile


def table(
    key: arguments.Key,
    metrics: Annotated[Path, Option(help="Folder of the scores (JSON) of all rows.")],
    details: Annotated[Path, Option(help="Folder of the per-image counts of all rows.")],
    plots: Annotated[Path, Option(help="Folder of the plots' data (CSV) of all rows.")],
    reports: Annotated[Path, Option(help="Folder of what `validate` reported on the labels.")],
    hashes: Annotated[Path, Option(help="Folder of sizes and hashes of the downloads.")],
    markdown: Annotated[Path, Option(help="File to write: the table as Markdown.")],
    csv: Annotated[Path, Option(help="File to write: the table as CSV.")],
    json: Annotated[
        Path, Option(help="File to write: each published cell's verdict; its last version is read.")
    ],
    html: Annotated[Path, Option(help="File to write: the page with the table and its evidence.")],
) -> None:
    """Write the table as Markdown, as CSV, its verdicts as JSON, and all of it as a page."""
    loaded = reader.load(key)
    wanted = reader.entry(loaded.table.tables, key, "tables")
    source = catalogue.load(wanted.source, loaded.table.datasets[wanted.dataset].convert)
    told = loaded.common.intervals
    evaluations = Evaluations(metrics, details, told, loaded.common.seed)
    first = evaluations.metrics(next(iter(wanted.rows)))
    content = Report(
        title=wanted.title,
        split=first["split"],
        images=first["images"],
        level=told.level,
        method=evaluations.ceilings()["method"],
        rows=build_rows(wanted, evaluations),
        cells=compare_published(loaded.table.published, wanted, evaluations),
        classifiers=_classifiers(loaded.table, metrics),
        overlaps=source.overlaps,
        citation=source.citation,
    )
    shown = PageContent(
        key,
        content,
        evidence.read_rows(content.rows, loaded.table, evaluations, plots, details),
        evidence.read_label_report(reports / "labels.json", reports / "pictures"),
        evidence.read_provenance(
            reports / "valid.json",
            hashes / f"{loaded.table.datasets[wanted.dataset].raw}.json",
            source,
        ),
    )
    before = files.read_json(json)["cells"] if json.is_file() else []
    lost = verdicts.find_lost(before, content.cells)
    if lost and wanted.gate:
        raise ValueError(
            "\n  ".join(
                [
                    f"tables.{key}.gate: {wanted.gate}",
                    *lost,
                    f"next step: find out why; to accept it, delete {json} and run this again",
                ]
            )
        )
    for line in lost:
        messages.say(f"warning: {line}")
    for path, text in (
        (markdown, formats.to_markdown(content)),
        (csv, formats.to_csv(content)),
        (html, render_page(shown)),
    ):
        with files.writing(path) as aside:
            aside.write_text(text, "utf-8")
    files.write_json(json, {"table": key, "cells": [cell.as_json() for cell in content.cells]})
    messages.say(formats.to_markdown(content))


def _classifiers(loaded: TableFile, metrics: Path) -> dict[str, float]:
    """Return the accuracy on unseen objects of each backbone that began as a classifier."""
    found = {}
    for key, backbone in loaded.backbones.items():
        if backbone.weights == "classifier":
            found[key] = files.read_json(metrics / f"{key}.json")["accuracy"]["test"]
    return found


if __name__ == "__main__":
    command_line.run(table)
