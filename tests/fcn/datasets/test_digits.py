import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fcn.datasets import digits
from fcn.datasets.shared import catalogue
from fcn.records.sample import Sample

ROOT = Path(__file__).parents[3]
SEED, COUNT = 1337, 60
PRINT_HASH = """
import hashlib, sys
from pathlib import Path
from fcn.datasets import digits

total = hashlib.sha256()
for split in digits.DATASET.splits:
    for sample in digits.samples(Path(sys.argv[1]), split, 30, int(sys.argv[2])):
        total.update(repr((sample.id, sample.group)).encode())
        total.update(sample.image.tobytes() + sample.mask.tobytes())
print(total.hexdigest())
"""


@pytest.fixture(scope="module")
def samples(raw: Path) -> dict[str, list[Sample]]:
    return {split: list(digits.samples(raw, split, COUNT, SEED)) for split in digits.DATASET.splits}


@pytest.fixture(scope="module")
def table(raw: Path) -> np.ndarray:
    """The publisher's rows: 64 grey values 0..16 and the value of a digit."""
    return np.loadtxt(raw / "digits.csv.gz", delimiter=",", dtype=np.uint8)


def sources(sample: Sample) -> list[int]:
    return [int(name.removeprefix("digit-")) for name in sample.group]


def test_no_source_digit_serves_two_splits(samples: dict[str, list[Sample]]) -> None:
    used = [
        {number for sample in split for number in sources(sample)} for split in samples.values()
    ]
    assert all(used)
    assert sum(map(len, used)) == len(set().union(*used))


def test_crops_are_the_whole_pool_of_their_split(raw: Path, table: np.ndarray) -> None:
    object_crops = {
        split: list(digits.object_crops(raw, split, SEED)) for split in digits.DATASET.splits
    }
    assert sum(map(len, object_crops.values())) == len(table) == 1797
    for split, share in digits.SHARES.items():
        assert len(object_crops[split]) == pytest.approx(share * len(table), abs=10)
    labels = Counter(crop.label for split in object_crops.values() for crop in split)
    assert labels == Counter(1 + value for value in table[:, 64].tolist())


def test_crops_and_canvases_of_a_split_share_their_digits(
    raw: Path, samples: dict[str, list[Sample]]
) -> None:
    images = digits._digits(raw).images
    for split in samples:
        pool = {crop.image.tobytes() for crop in digits.object_crops(raw, split, SEED)}
        drawn = {number for sample in samples[split] for number in sources(sample)}
        assert {images[number].tobytes() for number in drawn} <= pool


def test_groups_name_the_source_digits(
    raw: Path, samples: dict[str, list[Sample]], table: np.ndarray
) -> None:
    images = digits._digits(raw).images
    for sample in (sample for split in samples.values() for sample in split):
        numbers = sources(sample)
        assert set(np.unique(sample.mask)) - {0} == {1 + table[number, 64] for number in numbers}
        # Where boxes overlapped, ink would be missing.
        assert np.sum(sample.image, dtype=int) == np.sum(images[numbers], dtype=int)
        assert (sample.mask > 0).sum() == (images[numbers] > digits.INK).sum()


def test_mask_pixels_are_exactly_where_the_grey_exceeds_the_ink(
    samples: dict[str, list[Sample]],
) -> None:
    for sample in (sample for split in samples.values() for sample in split):
        assert ((sample.mask > 0) == (sample.image > digits.INK)).all()


def test_one_two_and_three_digits_come_equally_often(samples: dict[str, list[Sample]]) -> None:
    for split in samples.values():
        assert Counter(len(sample.group) for sample in split) == dict.fromkeys(
            (1, 2, 3), COUNT // 3
        )


def test_scaled_digits_show_what_the_source_shows(raw: Path, table: np.ndarray) -> None:
    middles = (3.5 * (np.arange(8) + 0.5)).astype(int)
    scaled = digits._digits(raw).images[:, middles][:, :, middles]
    assert np.corrcoef(table[:, :64].ravel(), scaled.ravel())[0, 1] > 0.98


def test_two_runs_give_the_same_bytes_and_another_seed_gives_others(raw: Path) -> None:
    def run(seed: int, salt: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", PRINT_HASH, raw, str(seed)],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    first = run(SEED, "1")
    assert len(first.strip()) == 2 * hashlib.sha256().digest_size
    assert run(SEED, "2") == first
    assert run(SEED + 1, "1") != first


def test_the_classes_are_background_and_the_ten_digits() -> None:
    assert catalogue.load("digits").classes == ("background", *map(str, range(10)))
