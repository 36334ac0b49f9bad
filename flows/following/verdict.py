"""Compare the results of a reproduction with the committed ones, in a child process."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prefect.artifacts import create_markdown_artifact

from fcn.common import files
from fcn.runtime import processes
from flows.pipeline import output

MARKDOWN, JSON = "verdict.md", "verdict.json"
"""What `fcn verdict --out` writes."""


@dataclass(frozen=True)
class Verdict:
    """The verdict on several tables."""

    reproduced: bool
    text: str
    """Markdown."""


def judge(tables: Sequence[str], folder: Path) -> Verdict:
    """Compare tables in a copy of the project with the copy's commit; show the result.

    The copy keeps `verdict.md` and `verdict.json`; Prefect's pages show the former.

    Raises:
        ValueError: there is nothing to compare.
    """
    for name in (MARKDOWN, JSON):
        files.remove(folder / name)
    command = [sys.executable, "-m", "fcn", "verdict", *tables]
    with processes.start(  # when this flow is cancelled, closing the pipes ends the child
        [*command, "--folder", str(folder), "--out", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as child:
        assert child.stdout is not None
        lines = list(output.lines(child.stdout))
        child.wait()
    if not (folder / JSON).is_file():
        raise ValueError("\n".join(lines[-20:]).removeprefix("error: "))
    text = (folder / MARKDOWN).read_text("utf-8")
    create_markdown_artifact(text, "verdict", description="Reproduced here, or not")
    return Verdict(files.read_json(folder / JSON)["reproduced"], text)
