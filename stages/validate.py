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
from fcn.settings.stages import ValidateSettings


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
    from fcn.jobs import validate as job  # imports NumPy and Arrow

    outputs = job.ValidationPaths(report, pictures, valid)
    job.run(key, ValidateSettings.of(key), records, outputs)


if __name__ == "__main__":
    command_line.run(validate)
