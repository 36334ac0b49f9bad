"""Read a table's results and the committed ones, and write the verdict on their agreement."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fcn.audit import committed, reproduction
from fcn.audit.reproduction import Comparison, Result, Verdict
from fcn.common import files
from fcn.report.table import counts, grids
from fcn.runtime import machine
from fcn.scores.metrics import SCORES
from fcn.settings import dvc_lock, reader
from fcn.settings.dvc_lock import Ran

METRICS = ("mean_iou", *(name for name in SCORES if name != "mean_iou"))
"""The headline first."""
MARKDOWN, JSON = "verdict.md", "verdict.json"


@dataclass(frozen=True)
class Cell:
    """The verdict on one score of a row, or on all of them."""

    row: str
    network: str
    """As the table prints it."""
    metric: str | None
    """None: all scores."""
    verdict: Verdict
    comparison: Comparison | None = None

    def __str__(self) -> str:
        """Return the verdict with its numbers, in percent."""
        score = "" if self.metric is None else f", {grids.TITLES[self.metric]}"
        head, values = f"{self.network}{score}: {self.verdict}", self.comparison
        if values is None:
            return head
        here, there = map(grids.format_percent, (values.here, values.committed))
        difference = f"{100 * values.difference:+.1f} {grids.format_interval(values.paired)}"
        interval = grids.format_interval(values.interval)
        return f"{head}: {here} here, {there} {interval} committed, paired difference {difference}"

    def as_json(self) -> dict[str, Any]:
        """Return the cell as JSON values; scores are fractions."""
        values = self.comparison
        numbers = asdict(values) | {"expected": asdict(values.expected)} if values else {}
        names = {"row": self.row, "network": self.network, "metric": self.metric}
        return {**names, "verdict": self.verdict, **numbers}


@dataclass(frozen=True)
class TableVerdict:
    """The verdict on a table."""

    table: str
    commit: str
    cells: Sequence[Cell]
    machine: Sequence[str] | None
    """How this machine differs from that of the commit; None if the commit does not say."""
    level: float
    """Of the intervals."""

    @property
    def verdict(self) -> Verdict:
        """The verdict on all cells together."""
        verdicts = {cell.verdict for cell in self.cells}
        if not all(verdict.agrees for verdict in verdicts):
            return Verdict.NOT_REPRODUCED
        return verdicts.pop() if len(verdicts) == 1 else Verdict.REPRODUCED

    def __str__(self) -> str:
        """Return the verdict as Markdown."""
        compared = any(cell.comparison for cell in self.cells)
        return "\n".join(
            [
                f"# {self.table}: {self.verdict}",
                "",
                *(f"- {cell}" for cell in self.cells),
                "",
                f"Commit {self.commit}. {self._describe_rule() if compared else ''}".rstrip(),
                "",
                *self._describe_machine(),
                "",
            ]
        )

    def _describe_rule(self) -> str:
        return (
            f"Brackets: {100 * self.level:g} % bootstrap intervals over images. Reproduced: the "
            "interval of the paired difference, with the spread of two trainings "
            f"(±{100 * reproduction.SPREAD:.1f} points) added, contains 0."
        )

    def _describe_machine(self) -> list[str]:
        if self.machine is None:
            return ["The commit does not say which machine made its table."]
        if not self.machine:
            return ["Processor, caches, cores, environment and versions are those of the commit."]
        reason = "The bits of a training may differ, because the machine or its software does:"
        return [reason, "", *(f"- {line}" for line in self.machine)]

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        return {
            "table": self.table,
            "commit": self.commit,
            "verdict": self.verdict,
            "cells": [cell.as_json() for cell in self.cells],
            "machine": self.machine,
        }


def judge(table: str, root: Path = Path()) -> TableVerdict:
    """Compare a table's results in a folder with those in the folder's last commit.

    Raises:
        ValueError: the folder has no results of its own, or is no Git checkout.
    """
    loaded = reader.load(table, root)
    names = reader.entry(loaded.table.tables, table, "tables").rows
    commit = committed.commit(root)
    if commit is None:
        raise ValueError(f"{root.resolve()} has no Git commit to compare with")
    here, before = _read_results(table, names, root), _read_committed(table, root)
    cells = []
    for row, network in names.items():
        mine, theirs = here[row], before.get(row)
        verdict = reproduction.judge(mine, theirs)
        if theirs is None or verdict is not None:
            cells.append(Cell(row, network, None, verdict or Verdict.NEW))
            continue
        for metric in METRICS:
            values = reproduction.compare(
                mine.counts, theirs.counts, metric, loaded.common.intervals, loaded.common.seed
            )
            judged = reproduction.judge_difference(values)
            cells.append(Cell(row, network, metric, judged, values))
    return TableVerdict(
        table, commit, cells, _compare_machines(table, root), loaded.common.intervals.level
    )


def write(folder: Path, verdicts: Sequence[TableVerdict]) -> None:
    """Write the verdicts as Markdown and as JSON."""
    text = "\n".join(map(str, verdicts))
    files.write_bytes(folder / MARKDOWN, text.encode())
    agree = all(one.verdict.agrees for one in verdicts)
    content = {"reproduced": agree, "tables": [one.as_json() for one in verdicts]}
    files.write_json(folder / JSON, content)


def _read_results(table: str, names: Iterable[str], root: Path) -> dict[str, Result]:
    """Return the rows of these names, which were trained in this folder.

    Raises:
        ValueError: a file is missing, or is not what dvc.lock records.
    """
    path = root / _counts_of(table)
    if not path.is_file():
        raise ValueError(f"{path} is missing; `dvc repro table@{table}` makes it")
    rows = counts.read(path.read_bytes(), str(path))
    results = _combine(rows, dvc_lock.read(root))
    for row in names:
        if row not in rows:
            raise ValueError(f"{path} has no row {row!r}; `dvc repro table@{table}` makes it again")
        model = root / _model_of(row)
        if not model.is_file() or files.md5(model) != results[row].weights:
            state = "is not the one in dvc.lock" if model.is_file() else "is missing"
            raise ValueError(
                f"{model} {state}, so there is no result to compare; `make reproduce` trains in a "
                f"copy, `dvc repro table@{table}` in the workspace"
            )
    return results


def _read_committed(table: str, root: Path) -> dict[str, Result]:
    """Return the rows in the last commit; empty if it has no results of the table."""
    path = _counts_of(table)
    content = committed.read(path.as_posix(), root)
    lock = committed.read(dvc_lock.LOCK.as_posix(), root)
    if content is None or lock is None:
        return {}
    return _combine(counts.read(content, f"HEAD:{path}"), dvc_lock.parse(lock.decode()))


def _combine(rows: dict[str, counts.RowCounts], stages: dict[str, Ran]) -> dict[str, Result]:
    results = {}
    for row, counted in rows.items():
        path = _model_of(row).as_posix()
        maker = dvc_lock.maker(stages, path)
        results[row] = Result(counted, maker.outs[path] if maker else "")
    return results


def _compare_machines(table: str, root: Path) -> list[str] | None:
    path = f"data/tables/{table}.machine.json"
    before = committed.read(path, root)
    if before is None:
        return None
    # Not the folder's file: where all bits are the same, the table was not made again here.
    here = machine.describe()
    return list(reproduction.list_differences(here, files.parse_json(before, f"HEAD:{path}")))


def _counts_of(table: str) -> Path:
    return Path(f"data/tables/{table}.counts.parquet")


def _model_of(row: str) -> Path:
    return Path(f"data/models/{row}.keras")
