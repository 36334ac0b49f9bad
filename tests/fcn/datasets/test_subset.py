from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fcn.datasets import camvid, voc2012
from fcn.datasets.shared import masks, subset
from fcn.datasets.shared.dataset import Dataset
from fcn.records.sample import IGNORE_INDEX, LazySamples, Note, Sample
from tests import fabricated

PERSON, DOG, CAR = (voc2012.DATASET.classes.index(name) for name in ("person", "dog", "car"))
MASKS = (
    [0, PERSON, CAR, IGNORE_INDEX],
    [0, CAR, 0, 0],
    [DOG, DOG, PERSON, 0],
    [IGNORE_INDEX, 0, DOG, 30],
)


@pytest.fixture
def voc() -> Dataset:
    """VOC with four one-row masks."""

    def read(number: int) -> Sample:
        mask = np.array([MASKS[number]], np.uint8)
        return Sample(f"{number}", fabricated.jpeg(number), mask, (), (Note("rgb_mask", "odd"),))

    return replace(voc2012.DATASET, samples=lambda *_: LazySamples(range(len(MASKS)), read))


def test_classes_are_numbered_in_the_order_given(voc: Dataset) -> None:
    few = subset.keep(voc, ["person", "dog"])
    assert few.classes == ("background", "person", "dog")
    assert few.colours == tuple(voc.colours[number] for number in (0, PERSON, DOG))
    assert subset.keep(voc, ["dog", "person"]).classes == ("background", "dog", "person")


def test_other_objects_become_background_and_images_without_any_are_left_out(voc: Dataset) -> None:
    samples = subset.keep(voc, ["person", "dog"]).samples(Path(), "train", 4, 1)
    assert [sample.id for sample in samples] == ["0", "2", "3"]
    # 30 is no class of VOC's: it stays, for validation to find.
    assert [sample.mask.tolist() for sample in samples] == [
        [[0, 1, 0, IGNORE_INDEX]],
        [[2, 2, 1, 0]],
        [[IGNORE_INDEX, 0, 2, 30]],
    ]
    assert all(sample.notes for sample in samples)


def test_parts_of_it_are_read_by_their_places(voc: Dataset) -> None:
    samples = subset.keep(voc, ["dog"]).samples(Path(), "train", 4, 1)
    assert len(samples) == 2
    assert [sample.id for sample in samples[1:]] == ["3"]


def test_a_data_set_without_a_background_gets_one(tmp_path: Path) -> None:
    fabricated.write_camvid(tmp_path)
    few = subset.keep(camvid.DATASET, ["car"])
    assert few.classes == ("background", "car")
    sky, car = 0, camvid.DATASET.classes.index("car")
    whole = {sample.id: sample.mask for sample in camvid.DATASET.samples(tmp_path, "train", 4, 1)}
    for sample in few.samples(tmp_path, "train", 4, 1):
        assert (sample.mask[whole[sample.id] == sky] == 0).all()
        assert np.array_equal(sample.mask == 1, whole[sample.id] == car)
        assert np.array_equal(sample.mask == IGNORE_INDEX, whole[sample.id] == IGNORE_INDEX)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["persn"], "voc2012 has no 'persn'; did you mean 'person'"),
        (["background"], "voc2012 has no 'background'"),
        (["dog", "dog"], "dog, dog: a class is listed twice"),
    ],
)
def test_classes_that_cannot_be_kept_are_refused(
    voc: Dataset, classes: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        subset.keep(voc, classes)


def test_masks_are_read_by_the_publishers_files(tmp_path: Path) -> None:
    fabricated.write_voc(tmp_path)
    few = subset.keep(voc2012.DATASET, ["person"])
    for sample in few.samples(tmp_path, "train", 3, 1):
        own, _ = masks.index(tmp_path / f"VOCdevkit/VOC2012/SegmentationClass/{sample.id}.png")
        assert np.array_equal(sample.mask == 1, own == PERSON)
