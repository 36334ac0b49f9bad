"""Compare a measured score with a published one: reproduced, missed, or not comparable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fcn.uncertainty.intervals import Interval

FIELD_SPREAD = 0.006
"""Half-width of mean IoU between trainings that differ only in their seed, as the field reports it:
about 0.6 points either way. Used for rows that were trained once."""
REPRODUCED = "reproduced"


@dataclass(frozen=True)
class Measurement:
    """One score of a row, and the range that a repetition is expected to lie in."""

    value: float
    """As a fraction; the mean if the row was trained several times."""
    noise: Interval
    """For another set of images and another training together."""
    trainings: int


@dataclass(frozen=True)
class PublishedCell:
    """One published number and its comparison with the measured one."""

    network: str
    """As the source calls it."""
    row: str | None
    metric: str
    convention: str
    published: float
    """As printed: percent, or milliseconds."""
    measured: Measurement | None
    verdict: str
    reason: str
    """Why it is not comparable or was not run; otherwise empty."""
    source: str
    """With "(unconfirmed)" if the number was not read in the source itself."""
    split: str
    conditions: str

    def as_json(self) -> dict[str, Any]:
        """Return the cell as the table's JSON holds it; fractions become percent."""
        measured = self.measured
        return {
            "network": self.network,
            "row": self.row,
            "metric": self.metric,
            "convention": self.convention,
            "published": self.published,
            "value": None if measured is None else round(100 * measured.value, 2),
            "low": None if measured is None else round(100 * measured.noise.low, 2),
            "high": None if measured is None else round(100 * measured.noise.high, 2),
            "trainings": None if measured is None else measured.trainings,
            "verdict": self.verdict,
            "reason": self.reason,
            "source": self.source,
            "split": self.split,
            "conditions": self.conditions,
        }


def combine_noise(values: Sequence[float], images: Interval, level: float) -> Measurement:
    """Return a score with the noise of images and of trainings combined.

    The half-widths are added in quadrature on each side. The half-width for trainings is that of
    the prediction interval for one more training (Student's t, as there are few), or `FIELD_SPREAD`
    if there is only one.

    Args:
        values: of each training, as fractions; the first is the row's own.
        images: the bootstrap interval of the first.
        level: of both intervals.
    """
    trainings, centre = len(values), float(np.mean(values))
    spread = FIELD_SPREAD
    if trainings > 1:
        from scipy import stats  # type: ignore[import-untyped]  # takes a second

        quantile = float(stats.t.ppf((1 + level) / 2, trainings - 1))
        spread = quantile * float(np.std(values, ddof=1)) * np.sqrt(1 + 1 / trainings)
    low, high = half_widths(values[0], images, spread)
    return Measurement(centre, Interval(centre - low, centre + high), trainings)


def half_widths(value: float, images: Interval, spread: float) -> tuple[float, float]:
    """Return how far noise reaches below and above a value: of the images and of the trainings.

    The two are independent, so they are added in quadrature.
    """
    return float(np.hypot(value - images.low, spread)), float(np.hypot(images.high - value, spread))


def judge(measured: Measurement, published: float) -> str:
    """Return the verdict on a comparable score; `published` is in percent.

    reproduced: within the noise and at most `FIELD_SPREAD` away; within noise: further away;
    missed or better: outside the noise, by the whole difference.
    """
    difference = measured.value - published / 100
    if measured.noise.low <= published / 100 <= measured.noise.high:
        # Rounded, because sources print one decimal or two.
        return REPRODUCED if round(abs(difference), 4) <= FIELD_SPREAD else "within noise"
    return f"{'missed' if difference < 0 else 'better'} by {100 * abs(difference):.1f}"


def find_lost(before: Sequence[Mapping[str, Any]], now: Sequence[PublishedCell]) -> list[str]:
    """Return the cells that were reproduced and no longer are, a line each.

    Args:
        before: cells of the table's last JSON.
        now: the cells of the new table.
    """
    verdicts = {_identify(cell.as_json()): cell.verdict for cell in now}
    return [
        f"{' '.join(filter(None, _identify(cell)))}: {REPRODUCED} before, now "
        f"{verdicts.get(_identify(cell), 'no longer in the table')}"
        for cell in before
        if cell["verdict"] == REPRODUCED and verdicts.get(_identify(cell)) != REPRODUCED
    ]


def _identify(cell: Mapping[str, Any]) -> tuple[str, ...]:
    return (cell["row"] or "", cell["network"], cell["metric"], cell["source"])
