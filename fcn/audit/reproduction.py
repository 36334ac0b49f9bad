"""Whether a row's results here agree with the committed ones, and why their bits may differ.

Another CPU rounds differently, and a training amplifies this to other weights. So two trainings are
compared as two draws of the same experiment: on the same images, with the noise of both.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from fcn.report.table.counts import RowCounts
from fcn.report.table.verdicts import FIELD_SPREAD, half_widths
from fcn.settings.common import Intervals
from fcn.uncertainty import intervals
from fcn.uncertainty.intervals import Interval
from fcn.uncertainty.statistic import from_matrices

SPREAD = FIELD_SPREAD * np.sqrt(2)
"""Half-width of the difference between two trainings, which vary independently."""


class Verdict(StrEnum):
    """How a score here compares with the committed one."""

    SAME_BYTES = "the same bytes"
    SAME_COUNTS = "the same counts, from other weights"
    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    OTHER_IMAGES = "not reproduced: measured on other images"
    NEW = "not in the commit"

    @property
    def agrees(self) -> bool:
        """Whether the score does not contradict the commit."""
        return self not in (Verdict.NOT_REPRODUCED, Verdict.OTHER_IMAGES)


@dataclass(frozen=True)
class Result:
    """One row, as one machine trained and evaluated it."""

    counts: RowCounts
    weights: str
    """MD5 of the model's file."""


@dataclass(frozen=True)
class Comparison:
    """Two values of one score on the same images, as fractions."""

    here: float
    committed: float
    interval: Interval
    """Of the committed value, over images."""
    paired: Interval
    """Of `here - committed`, over images."""

    @property
    def difference(self) -> float:
        """The value here minus the committed one."""
        return self.here - self.committed

    @property
    def expected(self) -> Interval:
        """The interval of the difference with the noise of two trainings added."""
        below, above = half_widths(self.difference, self.paired, SPREAD)
        return Interval(self.difference - below, self.difference + above)


def judge(here: Result, committed: Result | None) -> Verdict | None:
    """Return the verdict on all scores of a row; None where each needs a comparison."""
    if committed is None:
        return Verdict.NEW
    if here.counts.ids != committed.counts.ids:
        return Verdict.OTHER_IMAGES
    if not np.array_equal(here.counts.confusion, committed.counts.confusion):
        return None
    same = here.weights == committed.weights
    return Verdict.SAME_BYTES if same else Verdict.SAME_COUNTS


def compare(
    here: RowCounts, committed: RowCounts, metric: str, settings: Intervals, seed: int
) -> Comparison:
    """Compare a score on the same images; each resample draws the same units for both."""
    sides = [from_matrices(side.confusion, committed.units, metric) for side in (here, committed)]
    drawn_here, drawn = (side.resample(settings.resamples, seed) for side in sides)
    return Comparison(
        sides[0].value,
        sides[1].value,
        intervals.percentile_interval(drawn, settings.level),
        intervals.percentile_interval(drawn_here - drawn, settings.level),
    )


def judge_difference(comparison: Comparison) -> Verdict:
    """Return whether a difference is within the noise of the images and of two trainings."""
    expected = comparison.expected
    return Verdict.REPRODUCED if expected.low <= 0 <= expected.high else Verdict.NOT_REPRODUCED


def list_differences(here: Mapping[str, Any], committed: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs between two machines (`fcn.runtime.machine`), a phrase each."""
    for name in dict.fromkeys([*committed, *here]):
        mine, theirs = here.get(name), committed.get(name)
        if mine == theirs:
            continue
        title = name.replace("_", " ")
        if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
            for key in dict.fromkeys([*theirs, *mine]):
                if mine.get(key) != theirs.get(key):
                    yield f"{key}: {_name(mine.get(key))} here, {_name(theirs.get(key))} committed"
        elif isinstance(mine, list) and isinstance(theirs, list) and {*mine} != {*theirs}:
            more, less = sorted({*mine} - {*theirs}), sorted({*theirs} - {*mine})
            sides = [f"{', '.join(more)} only here"] * bool(more)
            sides += [f"{', '.join(less)} only committed"] * bool(less)
            yield f"{title}: {'; '.join(sides)}"
        else:
            yield f"{title}: {_name(mine)} here, {_name(theirs)} committed"


def _name(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value or "none")
