import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fcn.scores import calibration
from fcn.scores.calibration import BINS

SURE = st.integers(1, 150).map(lambda part: part / 150)  # bins' edges among them


@hypothesis_settings(deadline=None)
@given(pixels=st.lists(st.tuples(SURE, st.booleans()), min_size=1, max_size=60))
def test_the_error_is_that_of_the_paper(pixels: list[tuple[float, bool]]) -> None:
    confidence = np.array([sure for sure, _ in pixels], np.float64)
    right = np.array([hit for _, hit in pixels])
    expected = 0.0
    for number in range(BINS):  # Guo et al. 2017, equations 2 to 4
        low, high = number / BINS, (number + 1) / BINS
        inside = (confidence > low + 1e-9) & (confidence <= high + 1e-9)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            expected += inside.sum() / len(pixels) * gap
    # Whole 150ths times 15 are exact only up to rounding: nudged off the edges, into the lower bin.
    counted = calibration.histogram(confidence - 1e-9, right)
    assert calibration.expected_calibration_error(counted[None]) == pytest.approx(
        expected, abs=1e-6
    )


@hypothesis_settings(deadline=None)
@given(
    confidence=arrays(np.float32, (2, 3, 5), elements=st.floats(0, 1, width=32)),
    right=arrays(bool, (2, 3, 5)),
)
def test_histograms_of_images_add_up(confidence: np.ndarray, right: np.ndarray) -> None:
    each = [calibration.histogram(c, r) for c, r in zip(confidence, right, strict=True)]
    np.testing.assert_allclose(np.sum(each, axis=0), calibration.histogram(confidence, right))
    assert np.sum(each, axis=0)[0].sum() == confidence.size


def test_a_network_that_is_as_sure_as_it_is_right_has_no_error() -> None:
    confidence = np.repeat([0.5, 0.75], 100)
    right = np.concatenate([np.arange(100) < 50, np.arange(100) < 75])
    counted = calibration.histogram(confidence, right)[None]
    assert calibration.expected_calibration_error(counted) == pytest.approx(0)


def test_a_network_that_is_sure_and_wrong_has_an_error_of_one() -> None:
    counted = calibration.histogram(np.ones(7, np.float32), np.zeros(7, bool))[None]
    assert calibration.expected_calibration_error(counted) == 1
