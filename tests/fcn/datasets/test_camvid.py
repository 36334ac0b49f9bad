from pathlib import Path

import numpy as np
import pytest

from fcn.datasets import camvid
from fcn.datasets.shared import masks
from fcn.records.sample import IGNORE_INDEX
from tests import fabricated


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    fabricated.write_camvid(tmp_path)
    return tmp_path


def test_void_is_ignored_and_all_else_is_the_files_number(raw: Path) -> None:
    for sample in camvid.samples(raw, "test", 3, 1):
        own, _ = masks.index(raw / camvid.HOME / "testannot" / f"{sample.id}.png")
        assert np.array_equal(sample.mask, np.where(own == camvid.VOID, IGNORE_INDEX, own))


def test_groups_are_the_video_sequences(raw: Path) -> None:
    groups = [sample.group for sample in camvid.samples(raw, "train", 4, 1)]
    assert groups == [("0001TP",), ("0006R0",), ("0016E5",), ("0016E5",)]


def test_pairs_come_in_the_order_of_the_list(raw: Path) -> None:
    lines = (raw / camvid.HOME / "test.txt").read_text().splitlines()
    ids = [sample.id for sample in camvid.samples(raw, "test", 3, 1)]
    assert ids == [line.rpartition("/")[2].removesuffix(".png") for line in lines]


def test_a_missing_image_is_named(raw: Path) -> None:
    (raw / camvid.HOME / "train/0006R0_f00930.png").unlink()
    with pytest.raises(ValueError, match=r"train/0006R0_f00930\.png is missing"):
        camvid.samples(raw, "train", 4, 1)


def test_a_line_without_a_mask_is_shown(raw: Path) -> None:
    (raw / camvid.HOME / "val.txt").write_text("/SegNet/CamVid/val/a.png\n")
    with pytest.raises(ValueError, match=r"val\.txt: '/SegNet/CamVid/val/a\.png'; allowed"):
        camvid.samples(raw, "val", 1, 1)
