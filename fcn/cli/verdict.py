"""Compare results with those of the last commit: reproduced or not.

    fcn verdict digits                          # the results in the project's folder
    fcn verdict digits --folder reproduction    # those of `make reproduce`

Each score is compared on the same images. It is reproduced if the bootstrap interval of the
difference, with the spread of two trainings added, contains 0. The end lists what differs between
this machine and the one of the commit. The exit code is 1 if a score is not reproduced.
"""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from fcn.cli import arguments
from fcn.common import messages
from fcn.settings import project


def verdict(
    tables: Annotated[
        list[str] | None, Argument(metavar="TABLE", help="Names of tables. Default: the active.")
    ] = None,
    folder: arguments.Folder = None,
    out: Annotated[
        Path | None, Option(help="Folder in which to write verdict.md and verdict.json.")
    ] = None,
) -> int:
    """Return 1 if a score is not reproduced."""
    root = folder or project.require("verdict")
    from fcn.audit import verdict as audit
    from fcn.settings import reader

    verdicts = [audit.judge(table, root) for table in tables or reader.active(root)]
    for each in verdicts:
        messages.say(str(each))
    if out is not None:
        audit.write(out, verdicts)
    return int(not all(each.verdict.agrees for each in verdicts))
