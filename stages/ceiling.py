r"""Measure how much of a data set's masks survives at each stride.

Run:
    python -m stages.ceiling digits --records data/records/digits \
        --valid data/reports/digits/valid.json --out data/metrics/digits/ceiling.json
"""

from pathlib import Path
from typing import Annotated

from typer import Option

from fcn.cli import arguments, command_line
from fcn.common import files, messages
from fcn.labels.ceiling import measure_split
from fcn.records import verdict
from fcn.scores import metrics
from fcn.settings.stages import CeilingSettings


def ceiling(
    key: arguments.Key,
    records: arguments.Records,
    valid: arguments.Valid,
    out: Annotated[Path, Option(help="JSON file to write: the mean IoU at each stride.")],
) -> None:
    """Write the mean IoU of the masks against themselves through each stride."""
    settings = CeilingSettings.of(key)
    split, strides, method = (
        settings.ceiling.split,
        settings.ceiling.strides,
        settings.ceiling.method,
    )
    verdict.require_valid(valid, records)
    matrices = measure_split(records, split, strides, method, settings.workers)
    ceilings = {
        str(stride): metrics.scores(matrix)["mean_iou"] for stride, matrix in matrices.items()
    }
    files.write_json(out, {"split": split, "method": method, "mean_iou": ceilings})
    values = ", ".join(f"stride {stride}: {value:.3f}" for stride, value in ceilings.items())
    messages.say(f"{key}: ceilings, {values}")


if __name__ == "__main__":
    command_line.run(ceiling)
