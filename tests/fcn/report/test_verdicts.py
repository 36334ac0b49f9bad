"""Verdicts on published numbers: what counts as noise, and what a gate asks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn.report import verdicts
from fcn.report.verdicts import Cell, Measured
from fcn.scores.averaging import CONVENTIONS
from fcn.settings.published import ConventionName, Metric
from fcn.uncertainty.intervals import Interval
from fcn.uncertainty.statistic import build_statistic
from tests.fcn.uncertainty.test_statistic import images


@pytest.mark.parametrize(
    ("here", "noise", "said", "verdict"),
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
def test_a_verdict_says_where_the_published_number_lies(
    here: float, noise: tuple[float, float], said: float, verdict: str
) -> None:
    assert verdicts.verdict(Measured(here, Interval(*noise), 1), said) == verdict


@given(
    st.floats(0.01, 0.99),
    st.floats(0, 0.05),
    st.floats(0, 0.05),
    st.lists(st.floats(-0.02, 0.02), max_size=4),
)
def test_the_noise_is_at_least_that_of_the_images(
    value: float, below: float, above: float, others: list[float]
) -> None:
    values = [value, *(value + other for other in others)]
    found = verdicts.measured(values, Interval(value - below, value + above), 0.95)
    assert found.value == pytest.approx(np.mean(values))
    assert found.noise.high - found.value >= above - 1e-12
    assert found.value - found.noise.low >= below - 1e-12
    assert found.trainings == len(values)


def test_one_training_takes_the_spread_that_the_field_reports() -> None:
    found = verdicts.measured([0.6], Interval(0.592, 0.608), 0.95)
    assert found.noise.low == pytest.approx(0.59)  # 8 and 6 thousandths in quadrature
    assert found.noise.high == pytest.approx(0.61)


def test_the_noise_of_several_trainings_holds_one_more_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    hits, exact = 0, Interval(0.5, 0.5)
    for _ in range(4000):
        *seen, coming = rng.normal(0.5, 0.01, 4)
        shifted = Interval(seen[0], seen[0])
        assert exact.low == exact.high
        noise = verdicts.measured(seen, shifted, 0.95).noise
        hits += noise.low <= coming <= noise.high
    assert 0.935 <= hits / 4000 <= 0.965


CELL = Cell(
    network="FCN-8s",
    row="voc2012-fcn8s",
    metric="mean_iou",
    convention="berkeley",
    published=62.7,
    measured=Measured(0.627, Interval(0.61, 0.64), 1),
    verdict="reproduced",
    reason="",
    source="Long et al., table 2",
    split="seg11valid",
    conditions="as in the paper",
)


def test_a_gate_hears_of_each_cell_that_is_no_longer_reproduced() -> None:
    before = [CELL.as_json()]
    assert verdicts.lost(before, [CELL]) == []
    worse = replace(CELL, verdict="missed by 1.4")
    (line,) = verdicts.lost(before, [worse])
    assert "FCN-8s mean_iou" in line
    assert "reproduced before, now missed by 1.4" in line
    (line,) = verdicts.lost(before, [])
    assert "no longer in the table" in line


def test_a_gate_asks_nothing_of_what_was_never_reproduced() -> None:
    before = [replace(CELL, verdict="missed by 1.4").as_json()]
    assert verdicts.lost(before, [replace(CELL, verdict="missed by 9.9")]) == []


def test_json_is_in_percent() -> None:
    assert CELL.as_json() | {"value": 62.7, "low": 61.0, "high": 64.0} == CELL.as_json()
    assert replace(CELL, measured=None).as_json()["value"] is None


@pytest.mark.parametrize("metric", set(Metric.__args__) - {"milliseconds"})
@pytest.mark.parametrize("convention", ConventionName.__args__)
def test_every_metric_under_every_policy_that_settings_allow_can_be_computed(
    metric: str, convention: str
) -> None:
    assert set(CONVENTIONS) == set(ConventionName.__args__)
    value = build_statistic(images(), metric, convention).value
    assert 0 <= value <= 1 or np.isnan(value)
