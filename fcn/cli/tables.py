"""List the tables, and why one is stale.

    fcn tables            # exit code 1 if one is stale
    fcn tables --write    # also writes data/tables/README.md

A table is stale if a stage behind it would run again: its code or a setting has changed, a stage
read other files than the stage before it wrote, or a file of the table was edited. Tables that are
not active in dvc.yaml are checked too; `dvc status` omits them. A table whose numbers differ from
the last commit is named, but is not stale.
"""

from typing import Annotated

from typer import Option

from fcn.cli import arguments
from fcn.settings import project


def tables(
    write: Annotated[bool, Option("--write", help="Also write data/tables/README.md.")] = False,
    folder: arguments.Folder = None,
) -> int:
    """Return 1 if a table is stale."""
    from fcn.audit import index

    return index.show(write, folder or project.require("tables"))
