r"""Measure how much of a data set's masks survives at each stride.

Run:
    python -m stages.ceiling digits --records data/records/digits \
        --valid data/reports/digits/valid.json --out data/metrics/digits/ceiling.json
"""

from pathlib import Path
from typing import Annotated

from typer import Option

from fcn.cli import arguments, command_line
from fcn.records import verdict
from fcn.settings.stages import CeilingSettings


def ceiling(
    key: arguments.Key,
    records: arguments.Records,
    valid: arguments.Valid,
    out: Annotated[Path, Option(help="JSON file to write: the mean IoU at each stride.")],
) -> None:
    """Write the mean IoU of the masks against themselves through each stride."""
    from fcn.jobs import ceiling as job  # imports NumPy and Arrow

    settings = CeilingSettings.of(key)
    verdict.require_valid(valid, records)
    job.run(key, settings, records, out)


if __name__ == "__main__":
    command_line.run(ceiling)
