"""Check the labels of one folder of records, and write the report, its pictures and the verdict."""

from dataclasses import dataclass
from pathlib import Path

from fcn.common import files, messages
from fcn.labels import check, gallery
from fcn.records import verdict
from fcn.settings.stages import ValidateSettings

SHOWN = 5
"""Findings in the error message; the report has all."""


@dataclass(frozen=True)
class ValidationPaths:
    """Files and folders to write."""

    report: Path
    """JSON file with every finding."""
    pictures: Path
    """Folder with pictures of findings and classes."""
    valid: Path
    """JSON file that training requires; written if the labels are valid."""


def run(key: str, settings: ValidateSettings, records: Path, outputs: ValidationPaths) -> None:
    """Write the report and its pictures, then the verdict that training requires.

    Raises:
        ValueError: the labels are invalid, or records cannot be read.
    """
    files.remove(outputs.valid)  # An old verdict must not survive a failure.
    checked = check.check(
        records,
        settings.splits,
        severity=settings.validate.severity,
        near=settings.validate.near,
        worker_count=settings.workers,
    )
    files.write_json(outputs.report, checked.content())
    with files.writing_folder(outputs.pictures) as partial:
        gallery.draw(records, checked, settings.validate.pictures, partial)
    for overlap, count in checked.accepted.items():
        between = " and ".join(overlap.splits)
        messages.say(f"{key}: accepted, {overlap.rule} of {between} ({count}): {overlap.reason}")
    errors = checked.errors
    if errors:
        head = (
            f"the labels of {key} are invalid: {len(errors)} error(s); all are in {outputs.report}"
        )
        lines = [
            f"{e.split} {e.example}".strip() + f": {e.message} ({e.rule})" for e in errors[:SHOWN]
        ]
        rest = [f"and {len(errors) - SHOWN} more"] if len(errors) > SHOWN else []
        raise ValueError("\n  ".join([head, *lines, *rest]))
    verdict.write(outputs.valid, records)
    warnings = len(checked.findings)
    see = f", see {outputs.report}" if warnings else ""
    messages.say(f"{key}: labels valid, {warnings} warning(s){see}")
