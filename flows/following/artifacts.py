"""What a flow run shows in Prefect's pages: tables, label reports and pictures."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State

from fcn.common import files
from flows.pipeline.graph import Stage
from flows.pipeline.progress_bar import artifact_key

PICTURES = 6
"""How many pictures of a stage are shown; its folder has all of them."""
PICTURE_BYTES = 200_000
"""Larger pictures are left out: the page, and the database, hold them as text."""


def publish(stages: Sequence[Stage], states: Mapping[str, State[None]]) -> None:
    """Make artifacts of the outputs of completed stages: Markdown, label reports, new pictures."""
    for stage in stages:
        if not states[stage.name].is_completed():
            continue
        for path in map(Path, stage.outs):
            if path.suffix == ".md":
                _markdown(stage, path.read_text("utf-8"), path)
            elif path.name == "labels.json":
                _markdown(stage, labels(files.read_json(path)), path)
            elif states[stage.name].name != "Cached" and any(path.rglob("*.png")):
                _markdown(stage, gallery(sorted(path.rglob("*.png"))), path, "gallery-")


def _markdown(stage: Stage, text: str, path: Path, prefix: str = "") -> None:
    create_markdown_artifact(text, prefix + artifact_key(stage.name), description=path.as_posix())


def gallery(pictures: Sequence[Path]) -> str:
    """Return Markdown that contains the first few pictures: the page cannot read our files."""
    small = [path for path in pictures if path.stat().st_size <= PICTURE_BYTES]
    return "\n\n".join(
        f"**{path.stem}**\n\n"
        f"![{path.stem}](data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()})"
        for path in small[:PICTURES]
    )


def labels(report: Mapping[str, Any]) -> str:
    """Return a label report as Markdown: the verdict, the splits, the findings."""
    return "\n".join(_label_lines(report))


def _label_lines(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {report['dataset']}: labels {report['verdict']}\n"
    yield "| split | examples | groups | ignored |\n| --- | ---: | ---: | ---: |"
    for name, split in report["splits"].items():
        ignored = f"{split['ignored_share']:.2%}"
        yield f"| {name} | {split['examples']} | {split.get('groups', '–')} | {ignored} |"
    findings = report["findings"]
    yield f"\n{len(findings) or 'No'} finding{'' if len(findings) == 1 else 's'}"
    for finding in findings[:20]:
        yield "- " + ", ".join(f"{name}: {value}" for name, value in finding.items())
