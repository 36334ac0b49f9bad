"""Prove the labels of a folder of records; broken ones stop the line.

Run:
    python -m stages.validate digits --records data/records/digits \
        --report data/reports/digits/labels.json --pictures data/reports/digits/pictures \
        --valid data/reports/digits/valid.json
"""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from fcn import door, files, labels, settings
from fcn import records as record
from fcn.pictures import blend, colour, rgb, row

SHOWN = 5
"""Findings in the message; all of them are in the report."""


def validate(key: str, records: Path, report: Path, pictures: Path, valid: Path) -> None:
    """Write the report and the pictures, then the verdict that training depends on."""
    data = settings.entry(settings.load(key).table.datasets, key, "datasets")
    found = labels.check(records)
    errors = [finding for finding in found if finding.severity == "error"]
    content = {
        "dataset": key,
        "verdict": "invalid" if errors else "valid",
        "splits": labels.summary(records),
        "findings": [asdict(finding) for finding in found],
    }
    files.write_json(report, content)
    draw(records, list(data.convert.splits), data.validate_.pictures, pictures)
    if errors:
        shown = [f"{e.split} {e.example}: {e.message} ({e.rule})".strip() for e in errors[:SHOWN]]
        rest = [f"and {len(errors) - SHOWN} more"] if len(errors) > SHOWN else []
        head = f"the labels of {key} are invalid: {len(errors)} error(s); all are in {report}"
        raise ValueError("\n  ".join([head, *shown, *rest]))
    files.write_json(valid, {"records": record.fingerprint(records), "verdict": "valid"})
    door.say(f"{key}: labels valid, {len(found)} warning(s)")


def draw(folder: Path, splits: list[str], count: int, out: Path) -> None:
    """Write image, mask and both blended of `count` examples spread over each split."""
    with files.writing_folder(out) as aside:
        for split in splits:
            source = record.Records(folder, split)
            for number in np.linspace(0, len(source) - 1, min(count, len(source)), dtype=int):
                example = source[number]
                panels = [
                    ("image", rgb(example.image)),
                    ("mask", colour(example.label, source.labels)),
                    ("blended", blend(example.image, example.label, source.labels)),
                ]
                picture = row(panels, np.unique(example.label), source.labels)
                picture.save(aside / f"{example.id}.png")


if __name__ == "__main__":
    door.main(__doc__, validate, key=str, records=Path, report=Path, pictures=Path, valid=Path)
