"""What a flow run shows in Prefect's pages: tables, label reports, pictures, progress bars."""

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.client.schemas.objects import State

from fcn.common import files
from flows import graph

PICTURES = 6
"""How many pictures of a stage are shown; the folder has them all."""
PICTURE_BYTES = 200_000
"""Larger ones are left out: the page holds them inside its text, and so does the database."""
STEP = re.compile(r"\bstep (\d+)/(\d+)\b")


def results(stages: Sequence[graph.Stage], states: Mapping[str, State[None]]) -> None:
    """Make artifacts of what finished stages wrote: Markdown, label reports, and new pictures."""
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


def _markdown(stage: graph.Stage, text: str, path: Path, prefix: str = "") -> None:
    create_markdown_artifact(text, prefix + _key(stage.name), description=path.as_posix())


def _key(name: str) -> str:
    return re.sub("[^a-z0-9]+", "-", name.lower())  # all that Prefect allows


def gallery(pictures: Sequence[Path]) -> str:
    """Return Markdown with the first few pictures inside it: the page reaches no file of ours."""
    small = [path for path in pictures if path.stat().st_size <= PICTURE_BYTES]
    return "\n\n".join(
        f"**{path.stem}**\n\n"
        f"![{path.stem}](data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()})"
        for path in small[:PICTURES]
    )


def labels(report: Mapping[str, Any]) -> str:
    """Return a label report as Markdown: the verdict, the splits, what was found."""
    return "\n".join(_label_lines(report))


def _label_lines(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {report['dataset']}: labels {report['verdict']}\n"
    yield "| split | examples | groups | ignored |\n| --- | ---: | ---: | ---: |"
    for name, split in report["splits"].items():
        ignored = f"{split['ignored_share']:.2%}"
        yield f"| {name} | {split['examples']} | {split.get('groups', '–')} | {ignored} |"
    found = report["findings"]
    yield f"\n{len(found) or 'No'} finding{'' if len(found) == 1 else 's'}"
    for finding in found[:20]:
        yield "- " + ", ".join(f"{name}: {value}" for name, value in finding.items())


class Bar:
    """A progress bar of one stage, moved by the steps that its own lines tell of."""

    def __init__(self, stage: str, log: Callable[[str], None]) -> None:
        """Show nothing before the first step."""
        self._stage, self._log, self._lost = stage, log, False
        self._id: Any = None

    def __call__(self, line: str) -> None:
        """Log a line, and move the bar if it tells a step; a lost server costs a line, no more."""
        self._log(line)
        step = STEP.search(line)
        if step is None or self._lost:
            return
        percent = 100 * int(step[1]) / int(step[2])
        try:
            if self._id is None:
                self._id = create_progress_artifact(
                    percent, f"progress-{_key(self._stage)}", description=line
                )
            else:
                update_progress_artifact(self._id, percent, description=line)
        except httpx.HTTPError as error:
            self._lost = True
            self._log(f"Prefect could not be told ({error}); going on without a progress bar")
