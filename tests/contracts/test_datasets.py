"""What every data set promises; a new file in fcn/datasets/ needs no new test."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from fcn import dataset, fetch
from fcn.dataset import IGNORE, Dataset, Pair

FEW = 9


@pytest.fixture(params=dataset.names())
def one(request: pytest.FixtureRequest) -> Dataset:
    return dataset.load(request.param)


def shipped(one: Dataset) -> bool:
    """Whether the archives come with a package, so that a test can read them without network."""
    return all(archive.url.startswith(fetch.PACKAGE) for archive in one.archives)


@pytest.fixture
def pairs(one: Dataset, tmp_path: Path) -> dict[str, list[Pair]]:
    assert shipped(one), "give this data set fabricated raw files in the publisher's layout"
    for archive in one.archives:
        fetch.fetch(archive, tmp_path)
    return {split: list(few(one, tmp_path, split)) for split in one.splits}


def few(one: Dataset, raw: Path, split: str) -> Iterator[Pair]:
    return islice(one.pairs(raw, split, FEW, seed=3), FEW)


def test_name_is_the_files_name(one: Dataset) -> None:
    assert one.name in dataset.names()


def test_says_where_it_comes_from_and_what_one_may_do_with_it(one: Dataset) -> None:
    assert one.licence
    assert re.search(r"\b(19|20)\d\d\b", one.citation), "a citation has a year"


def test_colours_differ(one: Dataset) -> None:
    assert len(set(one.colours)) == len(one.classes)


def test_masks_hold_classes_and_ignored_pixels_only(
    one: Dataset, pairs: dict[str, list[Pair]]
) -> None:
    for pair in (pair for split in pairs.values() for pair in split):
        assert pair.mask.dtype == np.uint8
        assert np.isin(pair.mask, [*range(len(one.classes)), IGNORE]).all()


def test_ids_are_unique_over_all_splits(pairs: dict[str, list[Pair]]) -> None:
    ids = [pair.id for split in pairs.values() for pair in split]
    assert len(set(ids)) == len(ids)


def test_no_group_is_in_two_splits(pairs: dict[str, list[Pair]]) -> None:
    groups = [{name for pair in split for name in pair.group} for split in pairs.values()]
    assert sum(map(len, groups)) == len(set().union(*groups))


def test_the_same_seed_gives_the_same_pairs(
    one: Dataset, pairs: dict[str, list[Pair]], tmp_path: Path
) -> None:
    for split, before in pairs.items():
        for old, new in zip(before, few(one, tmp_path, split), strict=True):
            assert old.id == new.id
            assert np.array_equal(old.image, new.image)
            assert np.array_equal(old.mask, new.mask)


def test_crops_of_a_split_are_not_in_another(one: Dataset, tmp_path: Path) -> None:
    if one.crops is None:
        return
    for archive in one.archives:
        fetch.fetch(archive, tmp_path)
    seen = [
        {crop.image.tobytes() for crop in one.crops(tmp_path, split, seed=3)}
        for split in one.splits
    ]
    assert all(seen)
    assert sum(map(len, seen)) == len(set().union(*seen))


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'digits'"):
        dataset.load("digit")
