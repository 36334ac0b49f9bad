"""Trace a number of a table back to the publisher's files.

    fcn explain digits digits-fcn8s mean_iou
    fcn explain digits digits-fcn8s mean_iou --folder reproduction

Every link is checked now: table cell <- metrics file <- per-image counts <- model <- the models it
started from, its settings, its code <- records, validated <- raw files and their source; and the
MLflow runs and the Git commit that made it. A broken link is named with what to do about it; then
the exit code is 1.
"""

from typing import Annotated

from typer import Argument

from fcn.cli import arguments
from fcn.common import messages
from fcn.settings import project


def explain(
    table: Annotated[str, Argument(help="The table's name, as in data/tables.")],
    row: Annotated[str, Argument(help="The model's key.")],
    metric: Annotated[str, Argument(help="The column in the table's CSV file: mean_iou, …")],
    folder: arguments.Folder = None,
) -> int:
    """Return 1 if a link is broken."""
    from fcn.audit.explain import trace

    root = folder or project.require("explain")
    links = list(trace(table, row, metric, root))
    width = max(len(link.name) for link in links)
    for link in links:
        messages.say(
            f"{'BROKEN' if link.problem else 'ok':6}  {link.name:{width}}  {link.description}"
        )
        if link.problem:
            messages.say(f"{'':8}{'':{width}}  {link.problem}")
    broken = [link.name for link in links if link.problem]
    messages.say(f"broken: {', '.join(broken)}" if broken else "every link holds")
    return int(bool(broken))
