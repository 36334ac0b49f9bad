"""The index of the tables, and for each whether it is up to date with the settings and the code."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fcn.audit import changes, committed
from fcn.code import lists
from fcn.common import files, messages
from fcn.settings import dvc_lock, reader
from fcn.settings.dvc_lock import Ran

TABLES = Path("data/tables")
INDEX = TABLES / "README.md"
SHOWN = 5
"""Reasons that are printed for one table."""


def show(write: bool, root: Path = Path()) -> int:
    """Print the index and, on request, write it; return 1 if a table is stale.

    Raises:
        ValueError: there is no table.
    """
    written = sorted((root / TABLES).glob("*.csv"))
    reasons = {path.stem: list(stale(path.stem, root)) for path in written}
    if not reasons:
        raise ValueError(f"no table in {TABLES}; `dvc repro` makes the active ones")
    text = markdown(reasons, root)
    messages.say(text)
    for table in reasons:
        if committed.changed([f"{TABLES}/{table}.csv"], root):
            messages.say(
                f"{table}: its numbers differ from the last commit; `fcn verdict {table}` judges "
                "the differences, `dvc metrics diff` lists them"
            )
    if write:
        with files.writing(root / INDEX) as aside:
            aside.write_text(text, "utf-8")
    return int(any(reasons.values()))


def stale(table: str, root: Path = Path()) -> Iterator[str]:
    """Yield why a table is not up to date with the workspace, a phrase each; nothing if it is."""
    stages, code = dvc_lock.read(root), lists.compute(root)
    table_stages = dvc_lock.of_table(stages, table)
    if not any(stage.name == f"table@{table}" for stage in table_stages):
        yield f"dvc.lock has no run of table@{table}"
    for stage in table_stages:
        yield from (f"{stage.name}: {change}" for change in changes.find(stage, code, root))
        yield from (f"{stage.name}: {change}" for change in _changed_inputs(stage, stages))
        for path, md5 in stage.outs.items():
            if path.startswith(f"{TABLES}/") and dvc_lock.md5(root / path, root) != md5:
                yield f"{stage.name}: {path} is not what it wrote"


def _changed_inputs(stage: Ran, stages: Mapping[str, Ran]) -> Iterator[str]:
    """Yield the inputs that the stage before has made again, with other content."""
    for path, md5 in stage.deps.items():
        maker = dvc_lock.maker(stages, path)
        if maker and maker.outs[path] != md5:
            yield f"{maker.name} has made another {path} since"


def markdown(tables: Mapping[str, Sequence[str]], root: Path = Path()) -> str:
    """Return the index of the tables: a line each, and the reasons why some are stale."""
    active = reader.active(root)
    lines = ["# Tables", "", "| table | rows | active | state |", "| --- | ---: | --- | --- |"]
    for table, reasons in tables.items():
        rows = len((root / TABLES / f"{table}.csv").read_text("utf-8").splitlines()) - 1
        state = f"stale, {len(reasons)} change(s)" if reasons else "up to date"
        is_active = "yes" if table in active else "no"
        lines.append(f"| [{table}]({table}.md) | {rows} | {is_active} | {state} |")
    for table, reasons in tables.items():
        if reasons:
            more = len(reasons) - SHOWN
            lines += ["", f"{table} is stale:", "", *(f"- {reason}" for reason in reasons[:SHOWN])]
            lines += [f"- and {more} more"] if more > 0 else []
    return "\n".join([*lines, ""])
