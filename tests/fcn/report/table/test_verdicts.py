"""Verdicts on published numbers: the noise around a score, and the cells that a gate protects."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn.report.table import verdicts
from fcn.report.table.verdicts import Measurement, PublishedCell
from fcn.scores.averaging import CONVENTIONS
from fcn.settings.published import ConventionName, Metric
from fcn.uncertainty.intervals import Interval
from fcn.uncertainty.statistic import build_statistic
from tests.fcn.uncertainty.test_statistic import images


@pytest.mark.parametrize(
    ("value", "noise", "published", "verdict"),
    [
        (0.627, (0.61, 0.64), 62.7, "reproduced"),
        (0.627, (0.61, 0.64), 62.1, "reproduced"),
        (0.627, (0.61, 0.64), 62.0, "within noise"),
        (0.627, (0.61, 0.64), 64.0, "within noise"),
        (0.627, (0.61, 0.64), 64.1, "missed by 1.4"),
        (0.627, (0.61, 0.64), 59.0, "better by 3.7"),
        (0.627, (0.6269, 0.6271), 62.6, "better by 0.1"),
    ],
)
def test_a_verdict_depends_on_where_the_published_number_lies(
    value: float, noise: tuple[float, float], published: float, verdict: str
) -> None:
    assert verdicts.judge(Measurement(value, Interval(*noise), 1), published) == verdict


@given(
    st.floats(0.01, 0.99),
    st.floats(0, 0.05),
    st.floats(0, 0.05),
    st.lists(st.floats(-0.02, 0.02), max_size=4),
)
def test_the_noise_is_at_least_that_of_the_images(
    value: float, below: float, above: float, offsets: list[float]
) -> None:
    values = [value, *(value + offset for offset in offsets)]
    measured = verdicts.combine_noise(values, Interval(value - below, value + above), 0.95)
    assert measured.value == pytest.approx(np.mean(values))
    assert measured.noise.high - measured.value >= above - 1e-12
    assert measured.value - measured.noise.low >= below - 1e-12
    assert measured.trainings == len(values)


def test_a_single_training_takes_the_spread_that_the_field_reports() -> None:
    measured = verdicts.combine_noise([0.6], Interval(0.592, 0.608), 0.95)
    assert measured.noise.low == pytest.approx(0.59)  # 8 and 6 thousandths in quadrature
    assert measured.noise.high == pytest.approx(0.61)


def test_the_noise_of_several_trainings_covers_one_more_at_its_level() -> None:
    rng = np.random.default_rng(3)
    hits, exact = 0, Interval(0.5, 0.5)
    for _ in range(4000):
        *trainings, next_training = rng.normal(0.5, 0.01, 4)
        shifted = Interval(trainings[0], trainings[0])
        assert exact.low == exact.high
        noise = verdicts.combine_noise(trainings, shifted, 0.95).noise
        hits += noise.low <= next_training <= noise.high
    assert 0.935 <= hits / 4000 <= 0.965


CELL = PublishedCell(
    network="FCN-8s",
    row="voc2012-fcn8s",
    metric="mean_iou",
    convention="berkeley",
    published=62.7,
    measured=Measurement(0.627, Interval(0.61, 0.64), 1),
    verdict="reproduced",
    reason="",
    source="Long et al., table 2",
    split="seg11valid",
    conditions="as in the paper",
)


def test_each_cell_that_is_no_longer_reproduced_is_lost() -> None:
    before = [CELL.as_json()]
    assert verdicts.find_lost(before, [CELL]) == []
    worse = replace(CELL, verdict="missed by 1.4")
    (line,) = verdicts.find_lost(before, [worse])
    assert "FCN-8s mean_iou" in line
    assert "reproduced before, now missed by 1.4" in line
    (line,) = verdicts.find_lost(before, [])
    assert "no longer in the table" in line


def test_a_cell_that_was_never_reproduced_is_not_lost() -> None:
    before = [replace(CELL, verdict="missed by 1.4").as_json()]
    assert verdicts.find_lost(before, [replace(CELL, verdict="missed by 9.9")]) == []


def test_json_is_in_percent() -> None:
    assert CELL.as_json() | {"value": 62.7, "low": 61.0, "high": 64.0} == CELL.as_json()
    assert replace(CELL, measured=None).as_json()["value"] is None


@pytest.mark.parametrize("metric", set(Metric.__args__) - {"milliseconds"})
@pytest.mark.parametrize("convention", ConventionName.__args__)
def test_every_metric_in_the_settings_can_be_computed_under_every_convention(
    metric: str, convention: str
) -> None:
    assert set(CONVENTIONS) == set(ConventionName.__args__)
    value = build_statistic(images(), metric, convention).value
    assert 0 <= value <= 1 or np.isnan(value)
