import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn.conversion import content, shards
from fcn.datasets.shared import catalogue
from fcn.records import record
from fcn.records.index import read_index
from fcn.records.labels import Labels, read_labels
from fcn.records.sample import IGNORE_INDEX, LazySamples, Note, Overlap, Sample
from fcn.records.split import Records
from fcn.runtime import workers
from fcn.settings.data import Convert
from tests.conftest import SPLITS

DIGITS = catalogue.load("digits")


def sample(number: int, name: str = "id") -> Sample:
    image = np.full((5, 4), number, np.uint8)
    return Sample(f"{name}-{number}", image, (image + 1) % 11, ("g",))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def ids(folder: Path, shard: str) -> list[str]:
    rows = read_index(folder)
    return [row.id for row in rows if row.shard == shard]


@given(count=st.integers(0, 50), number=st.integers(1, 12))
def test_parts_hold_each_number_once_and_differ_by_one_at_most(count: int, number: int) -> None:
    found = shards.ranges(count, number)
    assert [n for part in found for n in part] == list(range(count))
    assert len(found) == number
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.mark.parametrize(("count", "number"), [(7, 1), (7, 3), (2, 4), (0, 2)])
def test_shards_are_numbered_and_hold_the_pairs_in_order(
    count: int, number: int, tmp_path: Path
) -> None:
    samples = [sample(n) for n in range(count)]
    shards.write(tmp_path, DIGITS, {"val": samples, "test": [sample(99)]}, number)
    names = [path.name for path in sorted(tmp_path.glob("val*"))]
    assert names == [f"val-{n:05d}-of-{number:05d}.tfrecord" for n in range(number)]
    assert [one for name in names for one in ids(tmp_path, name)] == [one.id for one in samples]
    if samples:
        assert [one.id for one in Records(tmp_path, "val")] == [one.id for one in samples]


def test_a_row_says_what_is_in_its_example(tmp_path: Path) -> None:
    mask = np.array([[0, 0, 1], [IGNORE_INDEX, IGNORE_INDEX, IGNORE_INDEX]], np.uint8)
    notes = (Note("unknown_colours", "a.png: 3 pixels"), Note("rgb_mask", "a.png is RGB"))
    shards.write(tmp_path, DIGITS, {"train": [Sample("a", mask, mask, ("g", "h"), notes)]}, 1)
    (row,) = read_index(tmp_path)
    assert (row.pixels, row.ignored) == ((2, 1, *[0] * 9), 3)
    assert (row.id, row.split, row.group) == ("a", "train", ("g", "h"))
    assert row.label_sha256 == hashlib.sha256(mask.tobytes()).hexdigest()
    assert row.notes == notes


@pytest.mark.parametrize("name", ["straße/日本/é̄", "x" * 20_000, "a b;#%\n", ""])
def test_any_id_reads_back(name: str, tmp_path: Path) -> None:
    image = np.zeros((1, 1), np.uint8)
    shards.write(tmp_path, DIGITS, {"val": [Sample(name, image, image, ())]}, 1)
    (found,) = Records(tmp_path, "val")
    assert found.id == read_index(tmp_path)[0].id == name
    assert found.image.shape == (1, 1, 1)


def test_labels_say_what_the_data_set_says(tmp_path: Path) -> None:
    overlap = Overlap("same_group", ("train", "val"), "as published")
    dataset = replace(DIGITS, overlaps=(overlap,))
    shards.write(tmp_path, dataset, {"val": [sample(0)]}, 1, record.ONEHOT)
    assert read_labels(tmp_path) == Labels(
        "digits", DIGITS.classes, DIGITS.colours, 1, (overlap,), "onehot"
    )


@pytest.mark.parametrize("encoding", ["index", record.ONEHOT])
def test_masks_are_written_in_the_requested_encoding(encoding: str, tmp_path: Path) -> None:
    samples = [sample(number) for number in range(3)]
    shards.write(tmp_path, DIGITS, {"val": samples}, 1, encoding)
    for one, found in zip(samples, Records(tmp_path, "val"), strict=True):
        assert (found.label == one.mask).all()
        assert (found.one_hot is None) == (encoding == "index")


@pytest.fixture
def splits(raw: Path) -> dict[str, shards.SplitSamples]:
    """The samples of `small_records`."""
    asked = Convert(splits=SPLITS, shards=2)
    return {split: shards.samples("digits", asked, raw, split, seed=7) for split in SPLITS}


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_the_bytes_are_the_same_whoever_writes_them(
    processes: int, splits: dict[str, shards.SplitSamples], small_records: Path, tmp_path: Path
) -> None:
    shards.write(tmp_path, DIGITS, splits, 2, processes=processes)
    assert contents(tmp_path) == contents(small_records)


def test_a_cluster_writes_the_same_bytes(
    cluster: str,
    splits: dict[str, shards.SplitSamples],
    small_records: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(workers.SCHEDULER, cluster)
    shards.write(tmp_path, DIGITS, splits, 2)
    assert contents(tmp_path) == contents(small_records)


def lazily(raw: Path, split: str, count: int, seed: int) -> Sequence[Sample]:
    """Return samples of a data set that reads them when they are asked for, from `raw`/opened."""
    with (raw / "opened").open("a") as file:
        file.write(f"{split} {count} {seed}\n")
    return LazySamples(range(count), lambda number: sample(number, split))


@pytest.fixture
def lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = replace(DIGITS, samples=lazily)
    monkeypatch.setattr(catalogue, "load", lambda name, convert: dataset)


@pytest.mark.usefixtures("lazy")
def test_a_part_opens_its_recipe_once_and_reads_on_demand(tmp_path: Path) -> None:
    asked = Convert(splits={"val": 3}, shards=2, lists={"val": "seg11valid"})
    found = shards.samples("any", asked, tmp_path, "val", 5)
    assert len(found) == 3
    assert [one.id for one in found[1:]] == ["seg11valid-1", "seg11valid-2"]
    assert found[1:][-1].id == found[2].id == "seg11valid-2"
    with pytest.raises(IndexError):
        found[3]
    # Once for all parts; another run opens anew.
    assert (tmp_path / "opened").read_text() == "seg11valid 3 5\n"
    assert len(shards.samples("any", asked, tmp_path, "val", 5)) == 3
    assert (tmp_path / "opened").read_text() == "seg11valid 3 5\n" * 2


def test_an_index_error_in_a_data_set_is_no_end_of_its_pairs(tmp_path: Path) -> None:
    def read(number: int) -> Sample:
        raise IndexError("a fault")

    with pytest.raises(IndexError, match="a fault"):
        shards.write(tmp_path, DIGITS, {"val": LazySamples(range(3), read)}, 1)


@given(sides=st.tuples(st.integers(0, 40), st.integers(0, 40)), seed=st.integers(0, 99))
def test_the_histogram_counts_every_pixel(sides: tuple[int, int], seed: int) -> None:
    mask = np.random.default_rng(seed).integers(256, size=sides, dtype=np.uint8)
    assert content.histogram(mask) == np.bincount(mask.ravel(), minlength=256).tolist()


def test_the_histogram_of_a_large_mask_is_exact() -> None:
    mask = np.zeros((5000, 5000), np.uint8)
    mask[0, :3] = 7
    assert content.histogram(mask)[:8] == [mask.size - 3, *[0] * 6, 3]
