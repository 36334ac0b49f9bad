"""Measure how much of the masks of one data set survives at each stride."""

from pathlib import Path

from fcn.common import files, messages
from fcn.labels.ceiling import measure_split
from fcn.scores import metrics
from fcn.settings.stages import CeilingSettings


def run(key: str, settings: CeilingSettings, records: Path, out: Path) -> None:
    """Write the mean IoU of the masks against themselves through each stride (JSON)."""
    split, strides, method = (
        settings.ceiling.split,
        settings.ceiling.strides,
        settings.ceiling.method,
    )
    matrices = measure_split(records, split, strides, method, settings.workers)
    ceilings = {
        str(stride): metrics.scores(matrix)["mean_iou"] for stride, matrix in matrices.items()
    }
    files.write_json(out, {"split": split, "method": method, "mean_iou": ceilings})
    values = ", ".join(f"stride {stride}: {value:.3f}" for stride, value in ceilings.items())
    messages.say(f"{key}: ceilings, {values}")
