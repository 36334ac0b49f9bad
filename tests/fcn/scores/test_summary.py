from dataclasses import replace

import numpy as np
import pytest

from fcn.records.sample import IGNORE_INDEX
from fcn.scores import counting, metrics, per_image
from fcn.scores.per_image import PerImageCounts
from fcn.scores.summary import summarise
from tests.index_rows import index_row

CLASSES = ("ground", "thing", "nowhere")


@pytest.fixture
def images(rng: np.random.Generator) -> PerImageCounts:
    counted, rows = [], []
    for number in range(6):
        truth = np.kron(rng.integers(2, size=(3, 4)), np.ones((4, 4))).astype(np.uint8)
        mask = np.where(rng.random(truth.shape) < 0.2, 1 - truth, truth).astype(np.uint8)
        confidence = np.full(truth.shape, 0.9, np.float32)
        counted.append(
            counting.count_image(truth, mask, confidence, np.zeros((12, 16, 2), bool), 3)
        )
        rows.append(index_row("val", f"image-{number}", group=(f"film-{number % 2}",)))
    return per_image.stack(rows, counted)


def test_a_row_says_every_score_and_measure(images: PerImageCounts) -> None:
    numbers = summarise(images, CLASSES)
    assert list(numbers)[: len(metrics.SCORES)] == list(metrics.SCORES)
    assert numbers["class_iou"]["nowhere"] is None
    assert numbers["mean_dice"] > numbers["mean_iou"]
    accuracy = numbers["pixel_accuracy"]
    assert numbers["calibration_error"] == pytest.approx(abs(0.9 - accuracy), abs=1e-6)
    assert 0 < numbers["boundary_iou"] < 1
    assert len(numbers["trimap_iou"]) > 3


def test_groups_are_scored_where_images_share_them(images: PerImageCounts) -> None:
    groups = summarise(images, CLASSES)["groups"]
    assert {name: group.pop("images") for name, group in groups.items()} == {
        "film-0": 3,
        "film-1": 3,
    }
    assert groups["film-1"] == metrics.scores(images.confusion[1::2].sum(axis=0))
    alone = replace(images, groups=[(name,) for name in images.ids])
    assert "groups" not in summarise(alone, CLASSES)


def test_a_split_without_a_known_pixel_is_refused() -> None:
    truth = np.full((4, 4), IGNORE_INDEX, np.uint8)
    nothing = np.zeros((4, 4, 2), bool)
    counted = counting.count_image(truth, truth, truth.astype(np.float32), nothing, 3)
    with pytest.raises(ValueError, match="no labelled pixel"):
        summarise(per_image.stack([index_row("val", "a")], [counted]), CLASSES)
