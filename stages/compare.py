r"""Evaluate two models on the same validation images; how much better is the new one?

Run:
    python -m stages.compare digits --records data/records/digits \
        --valid data/reports/digits/valid.json --champion in-use.keras --candidate new.keras \
        --out evidence.json

Not in dvc.yaml: `flows.promote` runs it before a model is put in use. The test split is
for tables only: a model that was chosen by it could not be reported on it.
"""

from pathlib import Path
from typing import Annotated

from typer import Option

from fcn.cli import arguments, command_line
from fcn.network import backend
from fcn.records import verdict
from fcn.settings.stages import CompareSettings


def compare(
    key: arguments.Key,
    records: arguments.Records,
    valid: arguments.Valid,
    champion: Annotated[Path, Option(help="Model file (.keras) now in use.")],
    candidate: Annotated[Path, Option(help="Model file (.keras) that may replace it.")],
    out: Annotated[Path, Option(help="JSON file to write: both scores and their difference.")],
) -> None:
    """Choose the backend, then compare."""
    settings = CompareSettings.of(key)
    fingerprint = verdict.require_valid(valid, records)
    with backend.loading(settings.compute):
        from fcn.jobs import compare as job

    job.run(key, settings, job.ComparePaths(records, fingerprint, champion, candidate, out))


if __name__ == "__main__":
    command_line.run(compare)
