"""Are the labels of a folder of records right? Every rule is applied to all examples and the set.

The rules are in `fcn.labels.rules`, `fcn.labels.integrity` and `fcn.labels.leakage`, each with a
default severity, which the settings may change (`validate.severity`). Processes read chunks of
examples side by side (`fcn.runtime.workers`), each one example at a time.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fcn.common.text import nearest
from fcn.labels import integrity
from fcn.labels.findings import CheckedRecords, Finding
from fcn.labels.leakage import LEAKAGE_RULES, Appearances, Leak, appearance
from fcn.labels.rules import EXAMPLE_RULES, SET_RULES, SOURCE_RULES, Rows, Severity
from fcn.records.index import read_index
from fcn.records.labels import read_labels
from fcn.records.record import decode
from fcn.records.sample import Overlap
from fcn.records.split import Records
from fcn.runtime import workers

CHUNK = 64
"""Examples that a worker checks before it takes the next ones."""
STALE = "stale_overlap"
"""A declared overlap that covers nothing."""
DEFAULTS: dict[str, Severity] = {
    **{rule: severity for rule, (severity, _) in EXAMPLE_RULES.items()},
    **SOURCE_RULES,
    **integrity.INTEGRITY_RULES,
    **{rule: severity for rule, (severity, _) in SET_RULES.items()},
    **{rule: severity for rule, (severity, _) in LEAKAGE_RULES.items()},
    STALE: "warning",
}
"""Rule: its severity, unless the settings change it."""


@dataclass(frozen=True)
class Chunk:
    """Some examples of a split, for one worker."""

    folder: Path
    split: str
    start: int
    stop: int
    rules: tuple[str, ...]
    """Of `EXAMPLE_RULES`, and `index_mismatch`."""


class ChunkResult(NamedTuple):
    """What a worker returns of a chunk."""

    findings: list[tuple[str, str, int, str]]
    """Rule, example, wrong pixels, message."""
    hashes: list[int]
    thumbnails: list[np.ndarray]


def severities(changes: Mapping[str, Severity]) -> dict[str, Severity]:
    """Return every rule's severity: the default, or that in `changes`.

    Raises:
        ValueError: there is no such rule.
    """
    for rule in changes:
        if rule not in DEFAULTS:
            raise ValueError(f"validate.severity: no rule {rule!r}; {nearest(rule, DEFAULTS)}")
    return DEFAULTS | dict(changes)


def check(
    folder: Path,
    promised: Mapping[str, int],
    *,
    severity: Mapping[str, Severity],
    near: int,
    worker_count: int,
) -> CheckedRecords:
    """Apply every rule that is not `off` to a folder of records.

    Args:
        folder: the records.
        promised: examples per split, from the settings.
        severity: changes of the rules' severities.
        near: bits by which the hashes of near-identical images may differ.
        worker_count: processes, 0 for one per core.

    Raises:
        ValueError: a record cannot be read at all, or `severity` names no rule.
    """
    severity_of = severities(severity)
    active = {rule for rule, level in severity_of.items() if level != "off"}
    labels, rows = read_labels(folder), read_index(folder)
    order = {split: n for n, split in enumerate(dict.fromkeys(row.split for row in rows))}
    rows.sort(key=lambda row: order[row.split])  # as the chunks are
    findings: list[Finding] = []

    def report(rule: str, *fields: Any, **more: Any) -> None:
        if severity_of[rule] != "off":
            findings.append(Finding(rule, severity_of[rule], *fields, **more))

    example_rules = (*EXAMPLE_RULES, integrity.INDEX_MISMATCH)
    chunks = list(_chunks(folder, rows, tuple(rule for rule in example_rules if rule in active)))
    results = list(workers.each(examine, chunks, worker_count))
    for chunk, result in zip(chunks, results, strict=True):
        for rule, name, pixels, message in result.findings:
            report(rule, chunk.split, name, message, pixels)
    for row in rows:
        for note in row.notes:
            report(note.rule, row.split, row.id, note.message)
    for split, message in integrity.unindexed_record(folder, rows):
        report(integrity.UNINDEXED_RECORD, split, "", message)
    for rule, (_, violations) in SET_RULES.items():
        for fields in violations(rows, labels, promised) if rule in active else ():
            report(rule, *fields)
    appearances = Appearances(
        np.array([bits for result in results for bits in result.hashes], np.uint64),
        np.array([small for result in results for small in result.thumbnails], np.uint8),
    )
    assert all(overlap.rule in LEAKAGE_RULES for overlap in labels.overlaps), labels.overlaps
    accepted = dict.fromkeys(labels.overlaps, 0)
    for rule, (_, leaks) in LEAKAGE_RULES.items():
        if rule not in active:
            continue
        for leak in undeclared(rule, leaks(rows, appearances, near), accepted):
            other = (leak.other.split, leak.other.id)
            report(rule, leak.row.split, leak.row.id, leak.message, other=other)
        for message in stale(rule, rows, accepted):
            report(STALE, "", "", message)
    findings.sort(key=lambda finding: finding.severity)
    return CheckedRecords(labels, rows, findings, accepted)


def examine(chunk: Chunk) -> ChunkResult:
    """Apply the example rules to a chunk, and return how its images look."""
    source = Records(chunk.folder, chunk.split)
    labels, result = source.labels, ChunkResult([], [], [])
    for number in range(chunk.start, chunk.stop):
        example, row = source.example(number), source.rows[number]
        decoded = decode(example, labels.channels)
        for rule in chunk.rules:
            violations: Iterable[tuple[int, str]]
            if rule == integrity.INDEX_MISMATCH:
                violations = integrity.index_mismatch(example, decoded, row, len(labels.classes))
            else:
                violations = EXAMPLE_RULES[rule][1](decoded, row, labels)
            result.findings.extend((rule, row.id, *violation) for violation in violations)
        bits, thumbnail = appearance(decoded.image)
        result.hashes.append(bits)
        result.thumbnails.append(thumbnail)
    return result


def undeclared(rule: str, leaks: Iterable[Leak], accepted: dict[Overlap, int]) -> Iterator[Leak]:
    """Yield the leaks that no declared overlap covers; count the others in `accepted`."""
    declared = {frozenset(overlap.splits): overlap for overlap in accepted if overlap.rule == rule}
    for leak in leaks:
        overlap = declared.get(frozenset((leak.row.split, leak.other.split)))
        if overlap is None:
            yield leak
        else:
            accepted[overlap] += 1


def stale(rule: str, rows: Rows, accepted: Mapping[Overlap, int]) -> Iterator[str]:
    """Yield the overlaps declared for a rule, between existing splits, that cover nothing."""
    splits = {row.split for row in rows}
    for overlap, count in accepted.items():
        if overlap.rule == rule and not count and splits.issuperset(overlap.splits):
            between = " and ".join(overlap.splits)
            yield f"the overlap {rule} of {between} is declared, but there is none"


def _chunks(folder: Path, rows: Rows, rules: tuple[str, ...]) -> Iterator[Chunk]:
    """Yield the examples of all splits in chunks, in the order of the index."""
    for split, count in Counter(row.split for row in rows).items():
        for start in range(0, count, CHUNK):
            yield Chunk(folder.resolve(), split, start, min(start + CHUNK, count), rules)
