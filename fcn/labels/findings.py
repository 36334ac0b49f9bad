"""What the rules report of a folder of records, and the report as JSON holds it."""

from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fcn.labels.rules import Rows, Severity
from fcn.records.labels import Labels
from fcn.records.sample import Overlap


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
    """Number of wrong pixels, for a rule about pixels."""
    other: tuple[str, str] | None = None
    """Split and id of the similar example, for a rule about similarity."""


@dataclass(frozen=True)
class CheckedRecords:
    """All findings in a folder of records."""

    labels: Labels
    rows: Rows
    findings: list[Finding]
    """Errors first."""
    accepted: dict[Overlap, int]
    """Declared overlap: number of findings that it covers."""

    @cached_property
    def errors(self) -> list[Finding]:
        """The findings that make the records invalid."""
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


def summary(rows: Rows, labels: Labels) -> dict[str, Any]:
    """Return examples, groups and class shares of each split."""
    splits = {}
    for split in dict.fromkeys(row.split for row in rows):
        of_split = [row for row in rows if row.split == split]
        pixels = np.sum([row.pixels for row in of_split], axis=0)
        ignored = sum(row.ignored for row in of_split)
        total = max(1, pixels.sum() + ignored)  # without values that are no class
        splits[split] = {
            "examples": len(of_split),
            "groups": len({name for row in of_split for name in row.group}),
            "ignored_share": float(ignored / total),
            "class_share": dict(zip(labels.classes, (pixels / total).tolist(), strict=True)),
        }
    return splits
