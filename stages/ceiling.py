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
from fcn.labels import ceiling as measured
from fcn.records import verdict
from fcn.scores import metrics
from fcn.settings import reader


def ceiling(
    key: arguments.Key,
    records: arguments.Records,
    valid: arguments.Valid,
    out: Annotated[Path, Option(help="JSON file to write: the mean IoU at each stride.")],
) -> None:
    """Write the mean IoU of the masks against themselves through each stride."""
    loaded = reader.load(key)
    wanted = reader.entry(loaded.table.datasets, key, "datasets").ceiling
    verdict.require_valid(valid, records)
    matrices = measured.measure_split(
        records, wanted.split, wanted.strides, wanted.method, loaded.common.workers
    )
    values = {str(stride): metrics.scores(n)["mean_iou"] for stride, n in matrices.items()}
    content = {"split": wanted.split, "method": wanted.method, "mean_iou": values}
    files.write_json(out, content)
    messages.say(f"{key}: ceilings {', '.join(f'{s}: {v:.3f}' for s, v in values.items())}")


if __name__ == "__main__":
    command_line.run(ceiling)
