"""What follows a run that went well: links between its runs, the better model in use, verdicts.

    with following(["digits"], stages, push=True) as env:
        …                                                   # the stages, with `env`

An exception in between marks MLflow's parent runs failed; nothing is promoted, told or pushed then.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run
from prefect.utilities.urls import url_for

from fcn.common import files
from fcn.tracking import lineage, registry, runs
from flows import dvc, notify, temporary_server
from flows.promote import promote

TABLES = Path("data/tables")
NAMES = ("row", "network", "metric", "source")
"""What a published cell is known by; a cell that nobody reran has no row."""
Verdicts = dict[tuple[str, ...], str]


@contextmanager
def following(
    tables: Sequence[str], stages: Sequence[str], push: bool = False
) -> Iterator[dict[str, str]]:
    """Open MLflow's parent runs, yield the environment for the stages, and follow up.

    Args:
        tables: those of which a stage may run.
        stages: all stages of this run, also those that are clean.
        push: send what DVC keeps to its default remote in the end.

    Raises:
        ValueError: MLflow's store cannot be used, a table's verdicts cannot be read, or which model
            is better could not be decided.
        dvc.StageFailed: `dvc push` failed.
    """
    before = {table: verdicts(table) for table in tables}
    with registry.pipeline(tables, origin(), stages) as env:
        yield env
    log = get_run_logger()
    for table, parent in runs.parents(env).items():
        show_runs(table, parent, stages)
        state = promote(table, return_state=True)
        if not state.is_completed():
            raise ValueError(f"{table}: {state.message}")
    for table in tables:
        if changed := changes(before[table], verdicts(table)):
            notify.tell("verdict", "\n".join([f"the table {table} changed:", *changed]), log)
    if push:
        with dvc.Runner() as runner:
            runner.push(log.info)


def origin() -> dict[str, str]:
    """Return the tags by which MLflow's runs lead to this flow run."""
    identity = flow_run.id
    tags = {"prefect.flow_run.id": identity, "prefect.flow_run.name": flow_run.name}
    if identity and not temporary_server.in_use():  # its pages are gone with it
        tags["prefect.flow_run.url"] = url_for("flow-run", obj_id=identity)
    return {name: value for name, value in tags.items() if value}


def show_runs(table: str, parent: str, stages: Sequence[str]) -> None:
    """Make the MLflow runs behind a table's stages an artifact of this flow run."""
    rows = []
    for one in lineage.of(parent, lineage.of_table(stages, table)):
        run = f"[{one.run}]({one.page})" if one.page else f"`{one.run}`"
        rows.append(f"| {one.stage} | {'cached' if one.cached else 'ran'} | {run} |")
    head = ["| stage | this time | made by MLflow run |", "| --- | --- | --- |"]
    text = "\n".join([*head, *rows, "", f"Parent run: `{parent}`.", ""])
    create_markdown_artifact(text, f"mlflow-{table}", description=f"MLflow's runs of {table}")


def verdicts(table: str) -> Verdicts:
    """Return the verdict on each published cell of a table; none without its file."""
    path = TABLES / f"{table}.json"
    if not path.exists():
        return {}
    cells = files.read_json(path)["cells"]
    return {tuple(cell.get(name) or "" for name in NAMES): cell["verdict"] for cell in cells}


def changes(before: Verdicts, after: Verdicts) -> list[str]:
    """Return a line for each cell whose verdict is another than before."""
    return [
        f"{' '.join(filter(None, cell))}: {before[cell]} -> {verdict}"
        for cell, verdict in after.items()
        if before.get(cell, verdict) != verdict
    ]
