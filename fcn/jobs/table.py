"""Write one table: Markdown, CSV, verdicts, the page, and what other machines compare it with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fcn.common import files, messages
from fcn.datasets.shared import catalogue
from fcn.datasets.shared.dataset import Dataset
from fcn.report.page import evidence
from fcn.report.page.render import PageContent, render_page
from fcn.report.table import counts, formats, verdicts
from fcn.report.table.build import Evaluations, build_rows, compare_published
from fcn.report.table.content import Report
from fcn.report.table.counts import RowCounts
from fcn.runtime import machine
from fcn.settings.backbone import Backbone
from fcn.settings.stages import TableSettings


@dataclass(frozen=True)
class Inputs:
    """Folders with the results of all rows."""

    metrics: Path
    details: Path
    """Per-image counts and pictures."""
    plots: Path
    reports: Path
    """The label report of the data set."""
    hashes: Path


@dataclass(frozen=True)
class Outputs:
    """Files to write."""

    markdown: Path
    csv: Path
    json: Path
    """Each published cell's verdict; its last version is read first."""
    html: Path
    counts: Path
    """The rows' confusion matrices, image by image (`fcn.report.table.counts`)."""
    machine: Path
    """The machine that made the table (`fcn.runtime.machine`)."""


def run(key: str, settings: TableSettings, inputs: Inputs, outputs: Outputs) -> None:
    """Write the table `key`.

    Raises:
        ValueError: results are missing or contradict each other, or with `gate: reproduced` a
            published cell is no longer reproduced.
    """
    source = catalogue.load(settings.table.source, settings.dataset.convert)
    evaluations = Evaluations(inputs.metrics, inputs.details, settings.intervals, settings.seed)
    report = build_report(settings, evaluations, source, inputs.metrics)
    page = PageContent(
        key,
        report,
        evidence.read_rows(report.rows, settings, evaluations, inputs.plots, inputs.details),
        evidence.read_label_report(inputs.reports / "labels.json", inputs.reports / "pictures"),
        evidence.read_provenance(
            inputs.reports / "valid.json", inputs.hashes / f"{settings.dataset.raw}.json", source
        ),
    )
    require_reproduced(key, settings, report, outputs.json)
    for path, text in (
        (outputs.markdown, formats.to_markdown(report)),
        (outputs.csv, formats.to_csv(report)),
        (outputs.html, render_page(page)),
    ):
        with files.writing(path) as partial:
            partial.write_text(text, "utf-8")
    cells = [cell.as_json() for cell in report.cells]
    files.write_json(outputs.json, {"table": key, "cells": cells})
    images = {row.key: RowCounts.of(evaluations.images(row.key)) for row in report.rows}
    counts.write(outputs.counts, images)
    files.write_json(outputs.machine, machine.describe())
    messages.say(formats.to_markdown(report))


def build_report(
    settings: TableSettings, evaluations: Evaluations, source: Dataset, metrics: Path
) -> Report:
    """Return the contents of the table."""
    table = settings.table
    first = evaluations.metrics(next(iter(table.rows)))
    return Report(
        title=table.title,
        split=first["split"],
        images=first["images"],
        level=settings.intervals.level,
        method=evaluations.ceilings()["method"],
        rows=build_rows(table, evaluations),
        cells=compare_published(settings.published, table, evaluations),
        classifiers=read_classifiers(settings.backbones, metrics),
        overlaps=source.overlaps,
        citation=source.citation,
    )


def require_reproduced(key: str, settings: TableSettings, report: Report, json: Path) -> None:
    """Warn of published cells that are no longer reproduced; with a gate, refuse them."""
    before = files.read_json(json)["cells"] if json.is_file() else []
    lost = verdicts.find_lost(before, report.cells)
    if lost and settings.table.gate:
        head = f"tables.{key}.gate: {settings.table.gate}"
        next_step = f"next step: find the cause; to accept it, delete {json} and run this again"
        raise ValueError("\n  ".join([head, *lost, next_step]))
    for line in lost:
        messages.say(f"warning: {line}")


def read_classifiers(backbones: Mapping[str, Backbone], metrics: Path) -> dict[str, float]:
    """Return the accuracy on unseen objects of each backbone that was a classifier, by key."""
    return {
        key: files.read_json(metrics / f"{key}.json")["accuracy"]["test"]
        for key, backbone in backbones.items()
        if backbone.weights == "classifier"
    }
