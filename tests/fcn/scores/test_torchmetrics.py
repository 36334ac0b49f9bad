"""The same label maps give torchmetrics' numbers, to the last digit of its float32."""

import json

import numpy as np
import pytest

from fcn.scores import metrics
from tests import torchmetrics_scores as torchmetrics

SAID = json.loads(torchmetrics.RECORDED.read_text("utf-8"))["scores"]


def test_every_case_was_recorded() -> None:
    assert SAID.keys() == torchmetrics.VALUES.keys()


@pytest.mark.parametrize("name", SAID)
def test_numbers_are_those_of_torchmetrics(name: str) -> None:
    truth, prediction = torchmetrics.case(name)
    n = metrics.confusion_matrix(truth, prediction, torchmetrics.CLASSES)
    said = SAID[name]
    assert n.tolist() == said["confusion_matrix"]
    # An absent class is 0 there in the list, though left out of the mean; here it is no number.
    assert all(map(_same, np.nan_to_num(metrics.class_iou(n)), said["class_iou"]))
    if n.any():
        assert _same(metrics.mean_iou(n), said["mean_iou"])
        assert _same(metrics.pixel_accuracy(n), said["pixel_accuracy"])
    else:
        assert np.isnan(said["mean_iou"])


def _same(ours: float, theirs: float) -> bool:
    """Equal, but for the last bit of the float32 that torchmetrics divides and averages in."""
    return bool(abs(ours - theirs) <= np.spacing(np.float32(theirs)))
