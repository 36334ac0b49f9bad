"""The index of the tables, and for each whether it is up to date with the settings and the code."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fcn.common import files, messages
from fcn.settings import dvc_lock, reader
from fcn.settings.dvc_lock import Ran

TABLES = Path("data/tables")
INDEX = TABLES / "README.md"
SHOWN = 5
"""Reasons that are printed for one table."""


def show(write: bool) -> int:
    """Print the index and, on request, write it; return 1 if a table is stale.

    Raises:
        ValueError: there is no table.
    """
    reasons = {path.stem: list(stale(path.stem)) for path in sorted(TABLES.glob("*.csv"))}
    if not reasons:
        raise ValueError(f"no table in {TABLES}; `dvc repro` makes the active ones")
    text = markdown(reasons)
    messages.say(text)
    if write:
        with files.writing(INDEX) as aside:
            aside.write_text(text, "utf-8")
    return int(any(reasons.values()))


def stale(table: str, root: Path = Path()) -> Iterator[str]:
    """Yield why a table no longer stands for what is here, a phrase each; nothing if it does."""
    stages = dvc_lock.read(root)
    ran = dvc_lock.of_table(stages, table)
    if not any(one.name == f"table@{table}" for one in ran):
        yield f"dvc.lock knows no run of table@{table}"
    for one in ran:
        for change in dvc_lock.changes(one, root):
            yield f"{one.name}: {change}"
        yield from (f"{one.name}: {change}" for change in _other_files(one, stages))
        for path, known in one.outs.items():
            if path.startswith(f"{TABLES}/") and dvc_lock.md5(root / path, root) != known:
                yield f"{one.name}: {path} is not what it wrote"


def _other_files(ran: Ran, stages: Mapping[str, Ran]) -> Iterator[str]:
    """Yield the inputs that are not what the stage before it made last."""
    for path, known in ran.deps.items():
        made = dvc_lock.maker(stages, path)
        if made and made.outs[path] != known:
            yield f"{made.name} has made another {path} since"


def markdown(found: Mapping[str, Sequence[str]]) -> str:
    """Return the index: a line per table, and the reasons of those that are stale."""
    active = reader.active()
    lines = ["# Tables", "", "| table | rows | active | state |", "| --- | ---: | --- | --- |"]
    for table, reasons in found.items():
        rows = len((TABLES / f"{table}.csv").read_text("utf-8").splitlines()) - 1
        state = f"stale, {len(reasons)} change(s)" if reasons else "up to date"
        is_active = "yes" if table in active else "no"
        lines.append(f"| [{table}]({table}.md) | {rows} | {is_active} | {state} |")
    for table, reasons in found.items():
        if reasons:
            more = len(reasons) - SHOWN
            lines += ["", f"{table} is stale:", "", *(f"- {one}" for one in reasons[:SHOWN])]
            lines += [f"- and {more} more"] if more > 0 else []
    return "\n".join([*lines, ""])
