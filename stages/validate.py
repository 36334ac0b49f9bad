r"""Check the labels of a folder of records; errors stop the pipeline.

Run:
    python -m stages.validate digits --records data/records/digits \
        --report data/reports/digits/labels.json --pictures data/reports/digits/pictures \
        --valid data/reports/digits/valid.json
"""

from pathlib import Path
from typing import Annotated

from typer import Option

from fcn.cli import arguments, command_line
from fcn.common import files, messages
from fcn.labels import check, gallery
from fcn.records import verdict
from fcn.settings import reader

SHOWN = 5
"""Findings in the message; all of them are in the report."""


def validate(
    key: arguments.Key,
    records: arguments.Records,
    report: Annotated[Path, Option(help="JSON file to write: every finding.")],
    pictures: Annotated[Path, Option(help="Folder to write: pictures of findings and classes.")],
    valid: Annotated[
        Path, Option(help="JSON file to write if the labels are valid; training requires it.")
    ],
) -> None:
    """Write the report and the pictures, then the verdict that training depends on."""
    loaded = reader.load(key)
    files.remove(valid)  # it vouches for nothing until this is done
    data = reader.entry(loaded.table.datasets, key, "datasets")
    checked = check.check(
        records,
        data.convert.splits,
        severity=data.validate_.severity,
        near=data.validate_.near,
        worker_count=loaded.common.workers,
    )
    files.write_json(report, checked.content())
    with files.writing_folder(pictures) as aside:
        gallery.draw(records, checked, data.validate_.pictures, aside)
    for overlap, count in checked.accepted.items():
        between = " and ".join(overlap.splits)
        messages.say(f"{key}: accepted, {overlap.rule} of {between} ({count}): {overlap.reason}")
    errors = checked.errors
    if errors:
        shown = [
            f"{e.split} {e.example}".strip() + f": {e.message} ({e.rule})" for e in errors[:SHOWN]
        ]
        rest = [f"and {len(errors) - SHOWN} more"] if len(errors) > SHOWN else []
        head = f"the labels of {key} are invalid: {len(errors)} error(s); all are in {report}"
        raise ValueError("\n  ".join([head, *shown, *rest]))
    verdict.write(valid, records)
    odd = len(checked.findings)
    messages.say(f"{key}: labels valid, {odd} warning(s)" + (f", see {report}" if odd else ""))


if __name__ == "__main__":
    command_line.run(validate)
