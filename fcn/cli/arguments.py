"""Arguments that several stages share, each described once."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

Key = Annotated[str, Argument(help="The entry in the table file (tables/*.yaml) to work on.")]
Raw = Annotated[Path, Option(help="Folder with the publisher's files, read only.")]
Records = Annotated[Path, Option(help="Folder of records (TFRecord) that `convert` wrote.")]
Valid = Annotated[
    Path, Option(help="JSON file with which `validate` certifies the labels of these records.")
]
Folder = Annotated[
    Path | None,
    Option(help="A copy of the project, such as reproduction. Default: the project's folder."),
]
NoTracking = Annotated[
    bool, Option("--no-tracking", help="Do not log to MLflow, which then need not be installed.")
]
