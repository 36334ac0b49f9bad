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
from fcn.settings.stages import ValidateSettings

SHOWN = 5
"""Findings in the error message; the report has all."""


def validate(
    key: arguments.Key,
    records: arguments.Records,
    report: Annotated[Path, Option(help="JSON file to write: every finding.")],
    pictures: Annotated[Path, Option(help="Folder to write: pictures of findings and classes.")],
    valid: Annotated[
        Path, Option(help="JSON file to write if the labels are valid; training requires it.")
    ],
) -> None:
    """Write the report and its pictures, then the verdict that training requires."""
    settings = ValidateSettings.of(key)
    files.remove(valid)  # An old verdict must not survive a failure.
    checked = check.check(
        records,
        settings.splits,
        severity=settings.validate.severity,
        near=settings.validate.near,
        worker_count=settings.workers,
    )
    files.write_json(report, checked.content())
    with files.writing_folder(pictures) as partial:
        gallery.draw(records, checked, settings.validate.pictures, partial)
    for overlap, count in checked.accepted.items():
        between = " and ".join(overlap.splits)
        messages.say(f"{key}: accepted, {overlap.rule} of {between} ({count}): {overlap.reason}")
    errors = checked.errors
    if errors:
        head = f"the labels of {key} are invalid: {len(errors)} error(s); all are in {report}"
        lines = [
            f"{e.split} {e.example}".strip() + f": {e.message} ({e.rule})" for e in errors[:SHOWN]
        ]
        rest = [f"and {len(errors) - SHOWN} more"] if len(errors) > SHOWN else []
        raise ValueError("\n  ".join([head, *lines, *rest]))
    verdict.write(valid, records)
    warnings = len(checked.findings)
    see = f", see {report}" if warnings else ""
    messages.say(f"{key}: labels valid, {warnings} warning(s){see}")


if __name__ == "__main__":
    command_line.run(validate)
