"""Turn a data set's raw files into records.

Run:
    python -m stages.convert digits --raw data/raw/digits --out data/records/digits
"""

from pathlib import Path
from typing import Annotated

from typer import Option

from fcn.cli import arguments, command_line
from fcn.settings.stages import ConvertSettings


def convert(
    key: arguments.Key,
    raw: arguments.Raw,
    out: Annotated[Path, Option(help="Folder to write: records (TFRecord), index and labels.")],
) -> None:
    """Write the records, the index and the labels of all splits."""
    from fcn.jobs import convert as job  # imports NumPy and Arrow

    job.run(key, ConvertSettings.of(key), raw, out)


if __name__ == "__main__":
    command_line.run(convert)
