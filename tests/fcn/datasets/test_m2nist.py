import gzip
from pathlib import Path

import numpy as np
import pytest

from fcn.datasets import m2nist
from fcn.datasets.shared import canvases
from tests import fabricated


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    fabricated.write_m2nist(tmp_path)
    return tmp_path


def sources(raw: Path, split: str) -> set[int]:
    samples = m2nist.samples(raw, split, 60, 1)
    return {int(name.removeprefix("digit-")) for sample in samples for name in sample.group}


def test_source_digits_of_the_splits_are_disjoint_and_test_has_mnists_test_digits(
    raw: Path,
) -> None:
    train, val, test = (sources(raw, split) for split in m2nist.DATASET.splits)
    assert not train & val
    assert max(train | val) < m2nist.TRAIN <= min(test)


def test_canvases_show_the_digits_that_their_group_names(raw: Path) -> None:
    images = m2nist._digits(raw, "train", 0).images
    for sample in m2nist.samples(raw, "train", 12, 1):
        numbers = [int(name.removeprefix("digit-")) for name in sample.group]
        assert np.sum(sample.image, dtype=int) == np.sum(images[numbers], dtype=int)
        # Any grey is ink: the fabricated digits have no black pixel.
        assert (sample.mask > 0).sum() == len(numbers) * canvases.SIDE**2
        assert set(np.unique(sample.mask)) - {0} == {1 + number % 10 for number in numbers}


def test_crops_are_the_whole_pool(raw: Path) -> None:
    object_crops = {
        split: list(m2nist.object_crops(raw, split, 1)) for split in m2nist.DATASET.splits
    }
    assert sum(map(len, object_crops.values())) == 80
    assert len(object_crops["test"]) == 20
    assert {crop.label for crop in object_crops["test"]} == set(range(1, 11))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html>", "Not a gzipped file"),
        (gzip.compress(bytes(range(256)))[:99], "ended before"),
        (gzip.compress(b"\0\0"), "requires a buffer"),
        (gzip.compress(bytes(64)), "begins with 0x0, not 0x803"),
        (gzip.compress(bytes([0, 0, 8, 3, *[0, 0, 0, 2] * 3])), "cannot reshape"),
    ],
    ids=["a web page", "cut short", "too short", "other numbers", "fewer bytes than it says"],
)
def test_a_damaged_file_is_named(raw: Path, content: bytes, reason: str) -> None:
    (raw / "train-images-idx3-ubyte.gz").write_bytes(content)
    message = rf"train-images-idx3-ubyte\.gz is no IDX file of MNIST: .*{reason}"
    with pytest.raises(ValueError, match=message):
        m2nist.samples(raw, "train", 3, 1)


def test_images_without_labels_are_refused(raw: Path) -> None:
    test, train = (raw / f"{part}-labels-idx1-ubyte.gz" for part in ("t10k", "train"))
    train.write_bytes(test.read_bytes())
    with pytest.raises(ValueError, match="60 train images, but 20 labels"):
        m2nist.samples(raw, "train", 3, 1)
