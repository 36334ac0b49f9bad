import re
import xml.etree.ElementTree as ET

import pytest

from fcn.report.page import charts

CURVE = [
    {"epoch": 1.0, "step": 10.0, "loss": 0.8, "val_mean_iou": 0.25},
    {"epoch": 2.0, "step": 20.0, "loss": 0.4, "val_mean_iou": 0.5},
    {"epoch": 3.0, "step": 30.0, "loss": 0.2, "val_mean_iou": 1.0},
]


def points(svg: str, kind: str) -> list[tuple[float, float]]:
    line = next(e for e in ET.fromstring(svg) if e.get("class") == kind and e.get("points"))
    return [
        (float(x), float(y)) for x, y in re.findall(r"([\d.]+),([\d.]+)", line.get("points", ""))
    ]


def test_a_curve_is_drawn_to_the_scale_of_its_axes() -> None:
    svg = charts.draw_curve(CURVE)
    inner = charts.HEIGHT - charts.TOP - charts.BOTTOM
    first, _, last = points(svg, "loss")
    assert first == (charts.LEFT, charts.TOP)  # the highest tick is 0.8
    assert last[0] == charts.WIDTH - charts.RIGHT
    assert last[1] == pytest.approx(charts.TOP + 0.75 * inner, abs=0.1)
    assert points(svg, "score")[-1] == (charts.WIDTH - charts.RIGHT, charts.TOP)


def test_a_curve_has_a_description_in_words() -> None:
    label = ET.fromstring(charts.draw_curve(CURVE)).get("aria-label")
    assert label == "Loss 0.8 to 0.2 in 3 epochs, validation mean IoU 25.0 to 100.0 %"


def test_one_epoch_is_a_dot_and_a_loss_of_zero_has_an_axis() -> None:
    svg = charts.draw_curve([{"epoch": 1.0, "step": 1.0, "loss": 0.0}])
    assert len([e for e in ET.fromstring(svg) if e.tag == "circle"]) == 1
    assert "nan" not in svg


@pytest.mark.parametrize(("value", "top"), [(0.9, 1), (1, 1), (1.1, 2), (300, 400), (0.05, 0.08)])
def test_the_axis_ends_at_a_round_number_above_the_highest_loss(value: float, top: float) -> None:
    assert charts._round_up(value) == pytest.approx(top)
