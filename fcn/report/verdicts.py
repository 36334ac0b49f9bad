"""What a number here says of a published one: reproduced, missed, or not to be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

from fcn.uncertainty.intervals import Interval

FIELD_SPREAD = 0.006
"""Half-width of mean IoU between trainings of one recipe that differ in their seed only, as far as
the field reports it: about 0.6 points either way. It stands in where a row was trained once."""
REPRODUCED = "reproduced"


@dataclass(frozen=True)
class Measured:
    """One score of a row: its value and the noise that another run of the same would show."""

    value: float
    """As a fraction; the mean where the row was trained several times."""
    noise: Interval
    """From another set of images and another training together."""
    trainings: int


@dataclass(frozen=True)
class Cell:
    """One published number and what stands beside it."""

    network: str
    """As the source calls it."""
    row: str | None
    metric: str
    convention: str
    published: float
    """As printed: percent, or milliseconds."""
    measured: Measured | None
    verdict: str
    reason: str
    """Why it cannot be compared or was not run; empty for the others."""
    source: str
    """With "(unconfirmed)" where it was not read there."""
    split: str
    conditions: str

    def as_json(self) -> dict[str, Any]:
        """Return the cell as the table's JSON holds it; fractions become percent."""
        here = self.measured
        return {
            "network": self.network,
            "row": self.row,
            "metric": self.metric,
            "convention": self.convention,
            "published": self.published,
            "value": None if here is None else round(100 * here.value, 2),
            "low": None if here is None else round(100 * here.noise.low, 2),
            "high": None if here is None else round(100 * here.noise.high, 2),
            "trainings": None if here is None else here.trainings,
            "verdict": self.verdict,
            "reason": self.reason,
            "source": self.source,
            "split": self.split,
            "conditions": self.conditions,
        }


def measured(values: Sequence[float], images: Interval, level: float) -> Measured:
    """Return a score with the noise of images and of trainings together.

    The half-widths are added in quadrature on each side. That of trainings is half the prediction
    interval of one more training (Student's t, as few are seen), or `FIELD_SPREAD` for a single
    one.

    Args:
        values: of each training, as fractions; the first is the row's own.
        images: the bootstrap interval of the first.
        level: of both.
    """
    number, centre = len(values), float(np.mean(values))
    spread = FIELD_SPREAD
    if number > 1:
        quantile = float(stats.t.ppf((1 + level) / 2, number - 1))
        spread = quantile * float(np.std(values, ddof=1)) * np.sqrt(1 + 1 / number)
    low = float(np.hypot(values[0] - images.low, spread))
    high = float(np.hypot(images.high - values[0], spread))
    return Measured(centre, Interval(centre - low, centre + high), number)


def verdict(here: Measured, published: float) -> str:
    """Return the verdict on a score that can be compared; `published` is in percent.

    reproduced: within the noise and no further away than `FIELD_SPREAD`; within noise: the first
    only; missed or better: outside, by the whole difference.
    """
    away = here.value - published / 100
    if here.noise.low <= published / 100 <= here.noise.high:
        # Compared as printed: sources give one decimal or two.
        return REPRODUCED if round(abs(away), 4) <= FIELD_SPREAD else "within noise"
    return f"{'missed' if away < 0 else 'better'} by {100 * abs(away):.1f}"


def lost(before: Sequence[Mapping[str, Any]], now: Sequence[Cell]) -> list[str]:
    """Return the cells that were reproduced and no longer are, a line each."""
    verdicts = {_name(cell.as_json()): cell.verdict for cell in now}
    return [
        f"{' '.join(filter(None, _name(cell)))}: {REPRODUCED} before, now "
        f"{verdicts.get(_name(cell), 'no longer in the table')}"
        for cell in before
        if cell["verdict"] == REPRODUCED and verdicts.get(_name(cell)) != REPRODUCED
    ]


def _name(cell: Mapping[str, Any]) -> tuple[str, ...]:
    return (cell["row"] or "", cell["network"], cell["metric"], cell["source"])
