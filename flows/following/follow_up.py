"""After a successful run: link its runs in MLflow, promote the better model, report verdicts.

    with follow_up(["digits"], stages, push=True) as env:
        …                                                   # run the stages, with `env`

If the block raises, MLflow's parent runs are marked as failed, and nothing is promoted, reported or
pushed.
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
from flows.following import notify
from flows.following.promotion import promote
from flows.pipeline.runner import Runner
from flows.serving import temporary_server

TABLES = Path("data/tables")
CELL_KEYS = ("row", "network", "metric", "source")
"""What identifies a published cell; a cell that was not reproduced has no row."""
Verdicts = dict[tuple[str, ...], str]


@contextmanager
def follow_up(
    tables: Sequence[str], stages: Sequence[str], push: bool = False
) -> Iterator[dict[str, str]]:
    """Open MLflow's parent runs, yield the environment of the stages, and follow up.

    Args:
        tables: the tables of which a stage may run.
        stages: all stages of this run, also those that did not change.
        push: at the end upload DVC's data to its default remote.

    Raises:
        ValueError: MLflow's store cannot be used, a table's verdicts cannot be read, or the
            promotion failed.
        StageFailed: `dvc push` failed.
    """
    before = {table: verdicts(table) for table in tables}
    with registry.pipeline(tables, run_tags(), stages) as env:
        yield env
    log = get_run_logger()
    for table, parent in runs.parents(env).items():
        list_runs(table, parent, stages)
        state = promote(table, return_state=True)
        if not state.is_completed():
            raise ValueError(f"{table}: {state.message}")
    for table in tables:
        if changed := changes(before[table], verdicts(table)):
            notify.send("verdict", "\n".join([f"the table {table} changed:", *changed]), log)
    if push:
        with Runner() as runner:
            runner.push(log.info)


def run_tags() -> dict[str, str]:
    """Return the tags that link MLflow's runs to this flow run."""
    identity = flow_run.id
    tags = {"prefect.flow_run.id": identity, "prefect.flow_run.name": flow_run.name}
    if identity and not temporary_server.in_use():  # its pages end with the run
        tags["prefect.flow_run.url"] = url_for("flow-run", obj_id=identity)
    return {name: value for name, value in tags.items() if value}


def list_runs(table: str, parent: str, stages: Sequence[str]) -> None:
    """Make an artifact of this flow run that lists the MLflow runs behind a table's stages."""
    rows = []
    for origin in lineage.of(parent, lineage.of_table(stages, table)):
        run = f"[{origin.run}]({origin.page})" if origin.page else f"`{origin.run}`"
        rows.append(f"| {origin.stage} | {'cached' if origin.cached else 'ran'} | {run} |")
    head = ["| stage | this time | made by MLflow run |", "| --- | --- | --- |"]
    text = "\n".join([*head, *rows, "", f"Parent run: `{parent}`.", ""])
    create_markdown_artifact(text, f"mlflow-{table}", description=f"MLflow's runs of {table}")


def verdicts(table: str) -> Verdicts:
    """Return the verdict on each published cell of a table; empty if the table has no file."""
    path = TABLES / f"{table}.json"
    if not path.exists():
        return {}
    cells = files.read_json(path)["cells"]
    return {tuple(cell.get(key) or "" for key in CELL_KEYS): cell["verdict"] for cell in cells}


def changes(before: Verdicts, after: Verdicts) -> list[str]:
    """Return a line for each cell whose verdict has changed."""
    return [
        f"{' '.join(filter(None, cell))}: {before[cell]} -> {verdict}"
        for cell, verdict in after.items()
        if before.get(cell, verdict) != verdict
    ]
