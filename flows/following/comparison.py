"""Measure two models side by side, in a child process that imports Keras."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fcn.common import files
from fcn.runtime import processes
from fcn.settings import reader
from flows.pipeline import output


class CompareFailed(RuntimeError):
    """The comparison ended without a result and without an error message."""


def compare(
    table: str, champion: Path, candidate: Path, log: Callable[[str], None]
) -> Mapping[str, Any]:
    """Measure two model files on a table's validation split (`stages.compare`).

    Raises:
        ValueError: one of them cannot be measured.
        CompareFailed: the process ended without an error message.
    """
    dataset = reader.load(table).table.tables[table].dataset
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "evidence.json"
        paths = {
            "records": f"data/records/{dataset}",
            "valid": f"data/reports/{dataset}/valid.json",
            "champion": champion,
            "candidate": candidate,
            "out": out,
        }
        options = [part for name, path in paths.items() for part in (f"--{name}", str(path))]
        written = []
        with processes.start(  # when this flow is cancelled, closing the pipes ends the child
            [sys.executable, "-m", "stages.compare", table, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as child:
            assert child.stdout is not None
            for line in output.lines(child.stdout):
                log(line)
                written.append(line)
            code = child.wait()
        errors = [number for number, line in enumerate(written) if line.startswith("error: ")]
        if code == 1 and errors:
            raise ValueError("\n".join(written[errors[-1] :]).removeprefix("error: "))
        if code:
            end = "\n".join(written[-20:])
            raise CompareFailed(f"the comparison ended with exit code {code}: {end}")
        evidence: dict[str, Any] = files.read_json(out)
        return evidence
