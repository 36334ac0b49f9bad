"""Per-image counts: the file, and units of resampling."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fcn.scores import per_image
from fcn.scores.per_image import ARRAYS, PerImageCounts
from tests.index_rows import index_row

SHAPES = {
    "confusion": (4, 4),
    "ignored": (4,),
    "trimap": (7, 3, 4),
    "boundary": (3, 4),
    "thresholded": (2,),
    "calibration": (3, 15),
}


@pytest.fixture
def images(rng: np.random.Generator) -> PerImageCounts:
    arrays = {name: rng.integers(0, 50, (30, *shape)) for name, shape in SHAPES.items()}
    arrays["calibration"] = arrays["calibration"] / 7
    return PerImageCounts(
        [f"image-{n}" for n in range(30)], [(f"own-{n}",) for n in range(30)], **arrays
    )


def test_counts_are_read_back_unchanged(images: PerImageCounts, tmp_path: Path) -> None:
    per_image.write(tmp_path / "t.parquet", images)
    read = per_image.read(tmp_path / "t.parquet")
    assert (read.ids, read.groups) == (images.ids, images.groups)
    assert set(SHAPES) == set(ARRAYS)
    for name in ARRAYS:
        ours, theirs = getattr(read, name), getattr(images, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_rows_and_counts_are_stacked(images: PerImageCounts) -> None:
    rows = [index_row("val", images.ids[n], group=images.groups[n]) for n in range(30)]
    counted = [{name: getattr(images, name)[n] for name in ARRAYS} for n in range(30)]
    made = per_image.stack(rows, counted)
    assert (made.ids, made.groups) == (images.ids, images.groups)
    np.testing.assert_array_equal(made.total, images.confusion.sum(axis=0))


def test_the_same_counts_are_the_same_bytes(images: PerImageCounts, tmp_path: Path) -> None:
    """Whatever the order of the arrays in memory."""
    turned = replace(images, confusion=np.asfortranarray(images.confusion))
    for name, one in (("first", images), ("second", turned)):
        per_image.write(tmp_path / name, one)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_any_reader_of_parquet_sees_flat_counts(images: PerImageCounts, tmp_path: Path) -> None:
    per_image.write(tmp_path / "t.parquet", images)
    row = pq.read_table(tmp_path / "t.parquet").to_pylist()[3]
    np.testing.assert_array_equal(row["confusion"], images.confusion[3].ravel())


def test_missing_and_damaged_files_are_named(images: PerImageCounts, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    with pytest.raises(ValueError, match=r"t\.parquet is missing; run `dvc repro evaluate`"):
        per_image.read(path)
    per_image.write(path, images)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(ValueError, match=r"t\.parquet is damaged"):
        per_image.read(path)
    path.write_bytes(whole)
    group = pq.ParquetFile(path).metadata.row_group(0)
    pages = [group.column(number) for number in range(group.num_columns)]
    largest = max(pages, key=lambda page: page.total_compressed_size)
    inside = largest.data_page_offset + largest.total_compressed_size // 2
    path.write_bytes(whole[:inside] + bytes([whole[inside] ^ 1]) + whole[inside + 1 :])
    with pytest.raises(ValueError, match=r"t\.parquet is damaged"):
        per_image.read(path)


def test_missing_columns_are_named(images: PerImageCounts, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    per_image.write(path, images)
    pq.write_table(pq.read_table(path).drop_columns(["thresholded", "trimap"]), path)
    with pytest.raises(ValueError, match=r"t\.parquet has no column thresholded, trimap; run"):
        per_image.read(path)


def test_frames_of_one_video_are_one_unit(images: PerImageCounts) -> None:
    films = replace(images, groups=[("b",), ("a",), ("b",)] * 10)
    assert films.resampling_units().tolist() == [0, 1, 0] * 10
    grouped = films.by_group()
    assert {name: len(numbers) for name, numbers in grouped.items()} == {"b": 20, "a": 10}
    assert grouped["a"].tolist() == list(range(1, 30, 3))


@pytest.mark.parametrize("groups", [[("digit-1", "digit-2")] * 30, [("digit-1",), ()] * 15])
def test_an_image_composed_of_many_sources_is_its_own_unit(
    images: PerImageCounts, groups: list[tuple[str, ...]]
) -> None:
    composed = replace(images, groups=groups)
    assert composed.resampling_units().tolist() == list(range(30))
    assert composed.by_group() == {}


def test_images_with_one_group_each_have_no_groups(images: PerImageCounts) -> None:
    assert images.resampling_units().tolist() == list(range(30))
    assert images.by_group() == {}
