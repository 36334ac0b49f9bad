"""Measure how much of a data set's masks survives at each stride.

Run:
    python -m stages.ceiling digits --records data/records/digits \
        --valid data/reports/digits/valid.json --out data/metrics/digits/ceiling.json
"""

from pathlib import Path

from fcn import ceiling as measured
from fcn import door, files, labels, metrics, settings
from fcn import records as record


def ceiling(key: str, records: Path, valid: Path, out: Path) -> None:
    """Write the mean IoU of the masks against themselves through each stride."""
    wanted = settings.entry(settings.load(key).table.datasets, key, "datasets").ceiling
    labels.require_valid(valid, records)
    source = record.Records(records, wanted.split)
    masks = [example.label for example in source]
    classes = len(source.labels.classes)
    values = {
        str(stride): metrics.scores(measured.ceiling(masks, stride, classes, wanted.method))[
            "mean_iou"
        ]
        for stride in wanted.strides
    }
    content = {"split": wanted.split, "method": wanted.method, "mean_iou": values}
    files.write_json(out, content)
    door.say(f"{key}: ceilings {', '.join(f'{s}: {v:.3f}' for s, v in values.items())}")


if __name__ == "__main__":
    door.main(__doc__, ceiling, key=str, records=Path, valid=Path, out=Path)
