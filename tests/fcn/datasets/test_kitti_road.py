from pathlib import Path

import numpy as np
import pytest

from fcn.datasets import kitti_road
from fcn.records.sample import IGNORE_INDEX
from tests import fabricated


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    fabricated.write_kitti(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("labels", "black"),
    [
        ("black_ignored", IGNORE_INDEX),
        ("black_background", kitti_road.BACKGROUND),
        ("black_road", kitti_road.ROAD),
    ],
)
def test_black_is_what_the_convention_says(raw: Path, labels: str, black: int) -> None:
    pixels = [[kitti_road.RED, kitti_road.MAGENTA, kitti_road.BLACK]]
    name = kitti_road.ids(raw, "val", 1)[0].replace("_", "_road_")
    fabricated.save(raw / kitti_road.MASKS / f"{name}.png", np.array(pixels, np.uint8))
    sample = kitti_road.LABELS[labels].samples(raw, "val", 3, 1)[0]
    assert sample.mask.tolist() == [[kitti_road.BACKGROUND, kitti_road.ROAD, black]]


@pytest.mark.parametrize("seed", range(5))
def test_a_tenth_of_each_category_validates_in_one_run(raw: Path, seed: int) -> None:
    val, train = (kitti_road.ids(raw, split, seed) for split in ("val", "train"))
    assert sorted(val + train) == sorted(path.stem for path in (raw / kitti_road.IMAGES).iterdir())
    assert [name.partition("_")[0] for name in val] == ["um", "umm", "uu"]


def test_the_published_289_images_are_split_259_to_30(tmp_path: Path) -> None:
    for category, count in (("um", 95), ("umm", 96), ("uu", 98)):
        for number in range(count):
            for path in (
                tmp_path / kitti_road.IMAGES / f"{category}_{number:06d}.png",
                tmp_path / kitti_road.MASKS / f"{category}_road_{number:06d}.png",
            ):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    val = kitti_road.ids(tmp_path, "val", 1)
    numbers = [int(name.partition("_")[2]) for name in val]
    assert len(kitti_road.ids(tmp_path, "train", 1)) == 259
    assert len(val) == 30
    assert [numbers[n + 9] - numbers[n] for n in (0, 10, 20)] == [9, 9, 9], "runs of neighbours"
    assert val != kitti_road.ids(tmp_path, "val", 2)
    assert kitti_road.ids(tmp_path, "val", 1) == val


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (kitti_road.MASKS / "um_road_000003.png", r"um_000003\.png has no mask"),
        (kitti_road.IMAGES / "um_000003.png", r"um_road_000003\.png has no image"),
    ],
)
def test_an_image_and_its_mask_need_each_other(raw: Path, gone: Path, message: str) -> None:
    (raw / gone).unlink()
    with pytest.raises(ValueError, match=message):
        kitti_road.DATASET.samples(raw, "train", 30, 1)
