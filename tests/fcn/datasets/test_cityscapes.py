from pathlib import Path

import numpy as np
import pytest

from fcn.datasets import cityscapes
from fcn.datasets.shared import masks
from fcn.records.sample import IGNORE_INDEX
from tests import fabricated


def test_the_19_classes_are_those_the_benchmark_trains() -> None:
    assert len(cityscapes.DATASET.classes) == 19
    assert cityscapes.DATASET.classes[::9] == ("road", "terrain", "bicycle")
    assert len(cityscapes.LABELS["colours29"].classes) == 29


def test_numbers_that_are_not_trained_are_ignored_and_unknown_ones_stay(tmp_path: Path) -> None:
    numbers = np.array([[0, 7, 33, 10, 34, 255]], np.uint8)
    mask, _ = cityscapes.read_label_ids(fabricated.save(tmp_path / "a.png", numbers))
    # 34 is none of the publisher's: no class has it, so validation finds it.
    assert mask.tolist() == [[IGNORE_INDEX, 0, 18, IGNORE_INDEX, 34, IGNORE_INDEX]]


def test_both_conventions_see_the_same_objects(tmp_path: Path) -> None:
    table = cityscapes.TABLE
    trained = [number for _, number, _ in cityscapes.TRAINED]
    shown = [colour for _, _, colour in cityscapes.TRAINED]
    ids = fabricated.save(tmp_path / "ids.png", np.array([trained], np.uint8))
    colours = fabricated.save(tmp_path / "colours.png", np.array([shown], np.uint8))
    by_number = [cityscapes.TRAINED[n][0] for n in cityscapes.read_label_ids(ids)[0][0]]
    by_colour = [table[n][0] for n in cityscapes.read_colours(colours)[0][0]]
    assert by_number == by_colour


def test_groups_are_cities(tmp_path: Path) -> None:
    fabricated.write_cityscapes(tmp_path)
    samples = cityscapes.DATASET.samples(tmp_path, "train", 4, 1)
    assert {sample.group for sample in samples} == {("aachen",), ("bochum",)}
    assert samples[0].id == "aachen_000000_000019"


def test_an_image_without_its_mask_is_named(tmp_path: Path) -> None:
    fabricated.write_cityscapes(tmp_path)
    next(tmp_path.glob("gtFine/val/*/*0001*_labelIds.png")).unlink()
    with pytest.raises(ValueError, match=r"frankfurt_000001_000019_leftImg8bit\.png has no mask"):
        cityscapes.DATASET.samples(tmp_path, "val", 2, 1)
    assert len(cityscapes.LABELS["colours29"].samples(tmp_path, "val", 2, 1)) == 2


def test_a_colour_that_is_none_of_the_29_is_noted(tmp_path: Path) -> None:
    path = fabricated.save(tmp_path / "a.png", np.full((2, 2, 3), 77, np.uint8))
    mask, (note,) = cityscapes.read_colours(path)
    assert (mask == masks.IGNORE_INDEX).all()
    assert note.rule == "unknown_colours"
