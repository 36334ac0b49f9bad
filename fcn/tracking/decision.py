"""The decision whether a model is put in use."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Decision:
    """The decision about a candidate."""

    model: str
    """The registered model, `fcn-TABLE`."""
    version: str
    """The candidate."""
    champion: str
    """The version in use from now on."""
    before: str | None
    """The version that was in use until now."""
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """What `stages.compare` measured; empty where nothing was compared."""
    problem: bool = False
    """The two could not be compared; a person has to look."""

    @property
    def moved(self) -> bool:
        """Whether another version is in use than before."""
        return self.champion != self.before
