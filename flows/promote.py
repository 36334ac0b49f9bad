"""Put the better model in use: the registry's alias `champion` of `fcn-TABLE`.

    python -m flows.promote digits                            # this workspace's best model
    python -m flows.promote digits --version 5 --margin 0.01  # a version, if better by 1 point
    python -m flows.promote digits --version 5 --anyway       # a version, without a comparison
    python -m flows.promote --rollback digits                 # the previous champion

Both models are measured on the validation images. The candidate is put in use only if the whole
paired interval of the difference in mean IoU is above the margin. Otherwise it gets the alias
`challenger`.
"""

from typing import Annotated

from typer import Argument, Option

from fcn.cli import command_line
from fcn.settings import reader
from flows.following.promotion import promote
from flows.serving import flow_command


def main(
    table: Annotated[str, Argument(metavar="TABLE", help="Its name, such as digits.")],
    version: Annotated[
        int | None,
        Option(help="Version of fcn-TABLE. Default: the best model of this workspace."),
    ] = None,
    margin: Annotated[
        float, Option(help="Mean IoU by which the candidate must be better, as a fraction.")
    ] = 0.0,
    anyway: Annotated[bool, Option("--anyway", help="Do not compare.")] = False,
    rollback: Annotated[
        bool, Option("--rollback", help="Put the previous champion in use.")
    ] = False,
) -> int:
    """Run the flow; return the exit code."""
    # A typo is refused before a server starts.
    reader.entry(reader.load(table).table.tables, table, "tables")
    return flow_command.run(
        promote,
        "cancelled",
        table=table,
        version=version,
        margin=margin,
        anyway=anyway,
        rollback=rollback,
    )


if __name__ == "__main__":
    command_line.run(main, outlives_parent=True)
