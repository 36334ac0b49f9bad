"""Are the labels of a folder of records right? Every rule is asked about all examples and the set.

The rules stand in `fcn.labels.rules` and `fcn.labels.leakage`, each with its usual severity; the settings may
give another (`validate.severity`). Examples are read in parts, side by side (`fcn.runtime.workers`), one at
a time in each worker.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fcn.common.text import nearest
from fcn.datasets.shared.dataset import Overlap
from fcn.labels.leakage import LEAKAGE_RULES, Leak, Looks, look
from fcn.labels.rules import EXAMPLE_RULES, SET_RULES, SOURCE_RULES, Rows, Severity
from fcn.records.record import Labels, Records, read_index, read_labels
from fcn.runtime import workers

T = TypeVar("T")
PART = 64
"""Examples that a worker checks before it takes the next ones."""
STALE = "stale_overlap"
"""A declared overlap that covers nothing."""
DEFAULTS: dict[str, Severity] = {
    **{rule: severity for rule, (severity, _) in EXAMPLE_RULES.items()},
    **SOURCE_RULES,
    **{rule: severity for rule, (severity, _) in SET_RULES.items()},
    **{rule: severity for rule, (severity, _) in LEAKAGE_RULES.items()},
    STALE: "warning",
}
"""Rule: how serious it is, where the settings do not say otherwise."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (error) or odd (warning)."""

    rule: str
    severity: Severity
    split: str
    example: str
    """The example's id, or empty for the split as a whole."""
    message: str
    pixels: int = 0
    """How many are wrong, where it is about pixels."""
    other: tuple[str, str] | None = None
    """Split and id of the example that it is like, where it is about likeness."""


@dataclass(frozen=True)
class Checked:
    """What all rules found in a folder of records."""

    labels: Labels
    rows: Rows
    findings: list[Finding]
    """Errors first."""
    accepted: dict[Overlap, int]
    """Declared overlap: how many findings it covers."""

    @cached_property
    def errors(self) -> list[Finding]:
        """The findings that stop the line."""
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def verdict(self) -> str:
        """`valid`, or `invalid` if there is an error."""
        return "invalid" if self.errors else "valid"

    def content(self) -> dict[str, Any]:
        """Return the report, as JSON holds it."""
        return {
            "dataset": self.labels.dataset,
            "verdict": self.verdict,
            "splits": summary(self.rows, self.labels),
            "overlaps": [asdict(o) | {"findings": count} for o, count in self.accepted.items()],
            "rules": Counter(finding.rule for finding in self.findings),
            "findings": [asdict(finding) for finding in self.findings],
        }


@dataclass(frozen=True)
class Part:
    """Some examples of a split, for one worker."""

    folder: Path
    split: str
    start: int
    stop: int
    rules: tuple[str, ...]
    """Of `EXAMPLE_RULES`."""


Seen = tuple[list[tuple[str, str, int, str]], list[int], list[np.ndarray]]


def severities(wanted: Mapping[str, Severity]) -> dict[str, Severity]:
    """Return every rule's severity, those in `wanted` instead of the usual.

    Raises:
        ValueError: there is no such rule.
    """
    for rule in wanted:
        if rule not in DEFAULTS:
            raise ValueError(f"validate.severity: no rule {rule!r}; {nearest(rule, DEFAULTS)}")
    return DEFAULTS | dict(wanted)


def check(
    folder: Path,
    promised: Mapping[str, int],
    *,
    severity: Mapping[str, Severity],
    near: int,
    worker_count: int,
) -> Checked:
    """Ask every rule that is not `off` about a folder of records.

    Args:
        folder: the records.
        promised: examples per split.
        severity: of the rules that are not to have their usual one.
        near: bits by which the hashes of near-identical images may differ.
        worker_count: processes, 0 for one per core.

    Raises:
        ValueError: a record cannot be read at all, or a severity is given to no rule.
    """
    serious = severities(severity)
    labels, rows = read_labels(folder), read_index(folder).to_pylist()
    order = {split: n for n, split in enumerate(dict.fromkeys(row["split"] for row in rows))}
    rows.sort(key=lambda row: order[row["split"]])  # as the parts are
    found: list[Finding] = []

    def tell(rule: str, *said: Any, **more: Any) -> None:
        found.append(Finding(rule, serious[rule], *said, **more))

    def asked(rules: Mapping[str, T]) -> dict[str, T]:
        return {rule: of for rule, of in rules.items() if serious[rule] != "off"}

    parts = list(_parts(folder, rows, tuple(asked(EXAMPLE_RULES))))
    seen = list(workers.each(examine, parts, worker_count))
    for part, (said_of, _, _) in zip(parts, seen, strict=True):
        for rule, name, pixels, message in said_of:
            tell(rule, part.split, name, message, pixels)
    for row in rows:
        for note in row["notes"]:
            tell(note["rule"], row["split"], row["id"], note["message"])
    for rule, (_, ask) in asked(SET_RULES).items():
        for said in ask(rows, labels, promised):
            tell(rule, *said)
    hashes = [bits for _, some, _ in seen for bits in some]
    thumbnails = [small for _, _, some in seen for small in some]
    looks = Looks(np.array(hashes, np.uint64), np.array(thumbnails, np.uint8))
    assert all(overlap.rule in LEAKAGE_RULES for overlap in labels.overlaps), labels.overlaps
    accepted = dict.fromkeys(labels.overlaps, 0)
    for rule, (_, ask_all) in asked(LEAKAGE_RULES).items():
        for leak in undeclared(rule, ask_all(rows, looks, near), accepted):
            other = (leak.other["split"], leak.other["id"])
            tell(rule, leak.row["split"], leak.row["id"], leak.message, other=other)
        for message in stale(rule, rows, accepted):
            tell(STALE, "", "", message)
    told = [finding for finding in found if finding.severity != "off"]
    return Checked(labels, rows, sorted(told, key=lambda finding: finding.severity), accepted)


def examine(part: Part) -> Seen:
    """Return what the example rules say of a part, and how its images look."""
    source = Records(part.folder, part.split)
    seen, hashes, thumbnails = [], [], []
    for number in range(part.start, part.stop):
        example, row = source[number], source.rows[number]
        for rule in part.rules:
            _, ask = EXAMPLE_RULES[rule]
            seen += [(rule, row["id"], *said) for said in ask(example, row, source.labels)]
        bits, thumbnail = look(example.image)
        hashes.append(bits)
        thumbnails.append(thumbnail)
    return seen, hashes, thumbnails


def undeclared(rule: str, leaks: Iterable[Leak], accepted: dict[Overlap, int]) -> Iterator[Leak]:
    """Yield the leaks that no declared overlap covers; count the others in `accepted`."""
    declared = {frozenset(overlap.splits): overlap for overlap in accepted if overlap.rule == rule}
    for leak in leaks:
        overlap = declared.get(frozenset((leak.row["split"], leak.other["split"])))
        if overlap is None:
            yield leak
        else:
            accepted[overlap] += 1


def stale(rule: str, rows: Rows, accepted: Mapping[Overlap, int]) -> Iterator[str]:
    """Yield the overlaps declared for a rule, between splits that are there, that cover nothing."""
    splits = {row["split"] for row in rows}
    for overlap, count in accepted.items():
        if overlap.rule == rule and not count and splits.issuperset(overlap.splits):
            between = " and ".join(overlap.splits)
            yield f"the overlap {rule} of {between} is declared, but there is none"


def summary(rows: Rows, labels: Labels) -> dict[str, Any]:
    """Return what a reader wants to know of each split: examples, groups, class shares."""
    splits = {}
    for split in dict.fromkeys(row["split"] for row in rows):
        here = [row for row in rows if row["split"] == split]
        pixels = np.sum([row["pixels"] for row in here], axis=0)
        ignored = sum(row["ignored"] for row in here)
        total = max(1, pixels.sum() + ignored)  # values that are no class are in neither
        splits[split] = {
            "examples": len(here),
            "groups": len({name for row in here for name in row["group"]}),
            "ignored_share": float(ignored / total),
            "class_share": dict(zip(labels.classes, (pixels / total).tolist(), strict=True)),
        }
    return splits


def _parts(folder: Path, rows: Rows, rules: tuple[str, ...]) -> Iterator[Part]:
    """Yield the examples of all splits in parts, in the order of the index."""
    for split, count in Counter(row["split"] for row in rows).items():
        for start in range(0, count, PART):
            yield Part(folder.resolve(), split, start, min(start + PART, count), rules)
