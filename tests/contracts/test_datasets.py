"""What every data set promises, in every label convention, on raw files in its publisher's layout.

A new file in fcn/datasets/ needs no new test, only a case in tests/fabricated.py; until a person's
own has one, its tests are skipped.
"""

import importlib
import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from fcn.datasets.shared import catalogue
from fcn.datasets.shared.dataset import Dataset
from fcn.records import record
from fcn.records.sample import IGNORE_INDEX, Sample
from fcn.settings import reader
from tests import fabricated
from tests.shipped import SHIPPED, lists

FEW = 12
VARIANTS = [
    (name, labels)
    for name in catalogue.names()
    for labels in getattr(importlib.import_module(f"fcn.datasets.{name}"), "LABELS", [None])
]


@pytest.fixture(scope="module")
def raw_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Write the raw files of a data set, once for all tests."""
    written: dict[str, Path] = {}

    def raw(name: str) -> Path:
        if name not in written:
            written[name] = tmp_path_factory.mktemp(name)
            fabricated.CASES[name].write(written[name])
        return written[name]

    return raw


@pytest.fixture(params=VARIANTS, ids=lambda variant: "-".join(filter(None, variant)))
def variant(request: pytest.FixtureRequest) -> tuple[str, str | None]:
    name = request.param[0]
    if name not in fabricated.CASES and not lists(f"fcn/datasets/{name}.py"):
        pytest.skip(f"give {name} a case in tests/fabricated.py")
    return request.param


@pytest.fixture
def one(variant: tuple[str, str | None]) -> Dataset:
    return fabricated.dataset(*variant)


@pytest.fixture
def raw(one: Dataset, raw_of: Callable[[str], Path]) -> Path:
    return raw_of(one.name)


@pytest.fixture
def samples(one: Dataset, raw: Path) -> dict[str, list[Sample]]:
    return {split: few(one, raw, split) for split in fabricated.CASES[one.name].splits}


def few(one: Dataset, raw: Path, split: str) -> list[Sample]:
    return list(one.samples(raw, split, fabricated.CASES[one.name].splits[split], 3)[:FEW])


def test_name_is_the_files_name(variant: tuple[str, str | None], one: Dataset) -> None:
    assert one.name == variant[0]


def test_says_where_it_comes_from_and_what_one_may_do_with_it(one: Dataset) -> None:
    assert one.title
    assert one.licence
    assert re.search(r"\b(19|20)\d\d\b", one.citation), "a citation has a year"


def test_colours_differ(one: Dataset) -> None:
    assert len(set(one.colours)) == len(one.classes)


def test_lists_have_the_lengths_that_their_files_say(one: Dataset, raw: Path) -> None:
    for split, count in fabricated.CASES[one.name].splits.items():
        assert len(one.samples(raw, split, count, 3)) == count


def test_an_unknown_list_is_refused_by_its_name(one: Dataset, raw: Path) -> None:
    with pytest.raises(ValueError, match="trian"):
        one.samples(raw, "trian", 1, 3)


def test_missing_raw_files_are_named(one: Dataset, tmp_path: Path) -> None:
    split = next(iter(fabricated.CASES[one.name].splits))
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(str(tmp_path))):
        list(one.samples(tmp_path, split, 1, 3))


def test_masks_hold_classes_and_ignored_pixels_only(
    one: Dataset, samples: dict[str, list[Sample]]
) -> None:
    for sample in (sample for split in samples.values() for sample in split):
        assert sample.mask.dtype == np.uint8
        assert np.isin(sample.mask, [*range(len(one.classes)), IGNORE_INDEX]).all()
        assert sample.notes == ()


def test_every_pair_becomes_a_record_of_one_size(
    one: Dataset, samples: dict[str, list[Sample]]
) -> None:
    for sample in (sample for split in samples.values() for sample in split):
        decoded = record.decode(record.encode(sample), one.channels)
        assert decoded.image.shape == (*sample.mask.shape, one.channels)
        assert np.array_equal(decoded.label, sample.mask)
        if isinstance(sample.image, bytes):
            assert record.encode(sample).image == sample.image, "the source's bytes, untouched"


def test_ids_are_unique_over_all_splits(samples: dict[str, list[Sample]]) -> None:
    ids = [sample.id for split in samples.values() for sample in split]
    assert len(set(ids)) == len(ids)


def test_groups_are_shared_by_those_splits_alone_that_the_data_set_declares(
    one: Dataset, samples: dict[str, list[Sample]]
) -> None:
    groups = {
        split: {name for sample in found for name in sample.group}
        for split, found in samples.items()
    }
    shared = {two for two in combinations(groups, 2) if groups[two[0]] & groups[two[1]]}
    assert shared == {one.splits for one in one.overlaps if one.rule == "same_group"}
    assert all(overlap.reason for overlap in one.overlaps)


def test_the_same_seed_gives_the_same_pairs(
    one: Dataset, samples: dict[str, list[Sample]], raw: Path
) -> None:
    for split, before in samples.items():
        for old, new in zip(before, few(one, raw, split), strict=True):
            assert old.id == new.id
            assert np.array_equal(old.image, new.image)
            assert np.array_equal(old.mask, new.mask)


def test_crops_of_a_split_are_not_in_another(one: Dataset, raw: Path) -> None:
    if one.object_crops is None:
        return
    seen = [
        {crop.image.tobytes() for crop in one.object_crops(raw, split, 3)} for split in one.splits
    ]
    assert all(seen)
    assert sum(map(len, seen)) == len(set().union(*seen))


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'digits'"):
        catalogue.load("digit")


@pytest.mark.parametrize("name", sorted(path.stem for path in (SHIPPED / "tables").glob("*.yaml")))
def test_every_shipped_table_file_fits_its_data_set(name: str) -> None:
    table = reader.load(name, SHIPPED).table
    for data in table.datasets.values():
        lists = {data.convert.lists.get(split, split) for split in data.convert.splits}
        published = {
            name for name in lists if not name.endswith("_available")
        }  # others: a person's
        assert published <= set(catalogue.load(data.module, data.convert).splits)
