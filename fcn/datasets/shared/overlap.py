"""An overlap between splits that a data set's file declares and `labels.json` records."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Overlap:
    """A known overlap between two splits that is accepted, and printed with every number."""

    rule: str
    """The rule of `fcn.labels.leakage` that would report it as an error."""
    splits: tuple[str, str]
    reason: str
