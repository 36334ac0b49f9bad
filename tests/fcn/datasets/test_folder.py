import re
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fcn.datasets import folder
from fcn.datasets.shared.dataset import Dataset
from fcn.records.sample import IGNORE_INDEX
from fcn.settings import reader
from fcn.settings.data import Convert, Folder
from tests import fabricated
from tests.shipped import ROOT, SHIPPED

SHARES = {"train": 0.5, "val": 0.3, "test": 0.2}
COLOURS = list(fabricated.FOLDER["classes"].values())


def described(**changes: Any) -> Dataset:
    return folder.dataset_of(Folder.model_validate({**fabricated.FOLDER, **changes}))


def add(raw: Path, *names: str, image: str = ".jpg", mask: str = ".png") -> None:
    """Put images and masks of these names there."""
    for name in names:
        for path, content in (
            (raw / "images" / f"{name}{image}", fabricated.jpeg(len(name))),
            (raw / "masks" / f"{name}{mask}", b""),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if mask == ".png":
            fabricated.save(raw / "masks" / f"{name}.png", fabricated.indices(1, 3))


def ids(one: Dataset, raw: Path, split: str, seed: int = 1) -> list[str]:
    return [sample.id for sample in one.samples(raw, split, 1, seed)]


def test_lists_name_images_with_or_without_their_endings(tmp_path: Path) -> None:
    fabricated.write_folder(tmp_path)
    one = described()
    assert ids(one, tmp_path, "train") == ["a", "rows/0001", "rows/0002"]
    assert ids(one, tmp_path, "val") == ["b", "d"]


def test_index_and_colour_masks_say_the_same(tmp_path: Path) -> None:
    add(tmp_path, "a")
    indices = fabricated.indices(4, 3)
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/train.txt").write_text("a\n")
    fabricated.save(tmp_path / "masks/a.png", indices)
    by_index = described().samples(tmp_path, "train", 1, 1)[0]
    fabricated.save(tmp_path / "masks/a.png", np.array(COLOURS, np.uint8)[indices])
    by_colour = described(masks="colour", ignore=None).samples(tmp_path, "train", 1, 1)[0]
    assert np.array_equal(by_index.mask, by_colour.mask)


def test_the_colour_of_what_nobody_knows_is_ignored_without_a_note(tmp_path: Path) -> None:
    add(tmp_path, "a")
    shown = np.array([[COLOURS[1], (255, 0, 255), (9, 9, 9)]], np.uint8)
    fabricated.save(tmp_path / "masks/a.png", shown)
    one = described(masks="colour", ignore=(255, 0, 255), shares={"train": 1.0})
    (sample,) = one.samples(tmp_path, "train", 1, 1)
    assert sample.mask.tolist() == [[1, IGNORE_INDEX, IGNORE_INDEX]]
    assert "1 pixels of 1 colours" in sample.notes[0].message


def test_a_folder_is_a_group_and_an_image_beside_it_its_own(tmp_path: Path) -> None:
    add(tmp_path, "a", "seq/1", "seq/2", "deep/er/3")
    one = described(shares={"train": 1.0})
    groups = {sample.id: sample.group[0] for sample in one.samples(tmp_path, "train", 1, 1)}
    assert groups == {"a": "a", "seq/1": "seq", "seq/2": "seq", "deep/er/3": "deep/er"}


def test_groups_can_be_read_from_the_names(tmp_path: Path) -> None:
    add(tmp_path, "cam1_01", "cam1_02", "cam2_01")
    one = described(shares={"train": 1.0}, group="^(cam[0-9]+)_")
    groups = [sample.group for sample in one.samples(tmp_path, "train", 1, 1)]
    assert groups == [("cam1",), ("cam1",), ("cam2",)]
    add(tmp_path, "other")
    with pytest.raises(ValueError, match=r"folder\.group.*does not match the name 'other'"):
        one.samples(tmp_path, "train", 1, 1)


@hypothesis_settings(deadline=None, max_examples=50)
@given(
    groups=st.sets(st.text("abcxyz", min_size=1, max_size=5), min_size=1, max_size=40),
    seed=st.integers(0, 99),
)
def test_every_group_is_in_one_split_whatever_else_there_is(groups: set[str], seed: int) -> None:
    told = Folder.model_validate({**fabricated.FOLDER, "shares": SHARES})
    drawn = {group: folder._split_of(told, group, seed) for group in groups}
    assert set(drawn.values()) <= set(SHARES)
    assert all(folder._split_of(told, group, seed) == split for group, split in drawn.items())


def test_shares_are_kept_and_the_seed_deals_anew() -> None:
    told = Folder.model_validate({**fabricated.FOLDER, "shares": SHARES})
    drawn = [[folder._split_of(told, f"{n}", seed) for n in range(2000)] for seed in (1, 2)]
    for split, share in SHARES.items():
        assert drawn[0].count(split) / 2000 == pytest.approx(share, abs=0.04)
    assert drawn[0] != drawn[1]


def test_a_split_that_no_group_fell_to_says_what_to_do(tmp_path: Path) -> None:
    add(tmp_path, "tree/1", "tree/2")
    one = described(shares={"train": 0.999999, "val": 0.000001})
    with pytest.raises(ValueError, match=r"val: none of the 1 groups .* write lists, .*val\.txt"):
        one.samples(tmp_path, "val", 1, 1)


def test_more_pictures_move_none_that_are_there(tmp_path: Path) -> None:
    one = described(shares=SHARES)
    add(tmp_path, *(f"{number:02d}" for number in range(20)))
    before = {split: set(ids(one, tmp_path, split)) for split in SHARES}
    assert all(before.values())
    add(tmp_path, *(f"{number:02d}" for number in range(20, 40)))
    after = {split: set(ids(one, tmp_path, split)) for split in SHARES}
    assert sum(map(len, before.values())) == 20
    assert sum(map(len, after.values())) == 40
    assert all(before[split] <= after[split] for split in SHARES)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("images/b.jpg", r"images/b\.jpg has no mask"),
        ("masks/b.png", r"masks/b\.png has no image"),
        ("images/a.PNG", r"images/a\.PNG and .*images/a\.jpg have the same name"),
        ("masks/a.PNG", r"masks/a\.PNG and .*masks/a\.png have the same name"),
        ("images/b.tiff", r"images/b\.tiff: allowed in images/: \.jpg, \.jpeg, \.png"),
        ("images/b.webp", r"images/b\.webp: allowed in images/"),
        ("images/notes.txt", r"images/notes\.txt: allowed in images/"),
        ("masks/b.jpg", r"masks/b\.jpg: allowed in masks/: \.png"),
    ],
)
def test_files_that_are_no_pair_are_named(tmp_path: Path, path: str, message: str) -> None:
    add(tmp_path, "a")
    (tmp_path / path).touch()
    with pytest.raises(ValueError, match=message):
        described(shares={"train": 1.0}).samples(tmp_path, "train", 1, 1)


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    add(tmp_path, "a")
    for path in ("images/.DS_Store", "masks/.git/config"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    assert ids(described(shares={"train": 1.0}), tmp_path, "train") == ["a"]


def test_names_may_be_long_and_in_any_script(tmp_path: Path) -> None:
    long, accent = "ß漢字 " + "x" * 180, unicodedata.normalize("NFD", "é")
    add(tmp_path, long, "a.b")
    add(tmp_path, accent, mask=".PNG")
    (tmp_path / "masks" / f"{accent}.PNG").rename(
        tmp_path / "masks" / f"{unicodedata.normalize('NFC', accent)}.PNG"
    )
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/train.txt").write_text(f"{long}\n{accent}.jpg\na.b\n", "utf-8")
    expected = [long, unicodedata.normalize("NFC", accent), "a.b"]
    assert [source.id for source in described().samples(tmp_path, "train", 1, 1).items] == expected


@pytest.mark.parametrize(
    ("lists", "shares", "split", "message"),
    [
        ("a\nb\n", {}, "train", r"train\.txt names 'b', but there is no such image"),
        ("a\n", {}, "val", r"the list .*val\.txt is missing"),
        ("a\n", {"train": 1.0}, "train", r"holds lists, so `folder\.shares:` must not"),
        (None, {"train": 1.0}, "val", r"names no 'val'; it has: train"),
        (None, {}, "train", r"it has: none; write lists, .*splits/train\.txt"),
    ],
)
def test_a_split_without_list_and_share_is_refused(
    tmp_path: Path, lists: str | None, shares: dict[str, float], split: str, message: str
) -> None:
    add(tmp_path, "a")
    if lists is not None:
        (tmp_path / "splits").mkdir()
        (tmp_path / "splits/train.txt").write_text(lists)
    with pytest.raises(ValueError, match=message):
        described(shares=shares).samples(tmp_path, split, 1, 1)


@pytest.mark.parametrize("missing", ["images", "masks"])
def test_an_empty_folder_is_named(tmp_path: Path, missing: str) -> None:
    add(tmp_path, "a")
    for path in (tmp_path / missing).iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=f"{missing} holds no pictures"):
        described(shares={"train": 1.0}).samples(tmp_path, "train", 1, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shares": {"train": 0.8, "val": 0.3}}, "these sum to 1.1"),
        ({"group": "seq"}, "a regular expression with a group"),
        ({"group": "(seq"}, "a regular expression .*unterminated"),
        ({"classes": {"a": (0, 0, 0), "b": (0, 0, 0)}}, "a and b share"),
        ({"classes": {"a": (0, 0, 0)}}, "at least 2"),
        ({"classes": {"a": (0, 0, 0), "b": (0, 0, 256)}}, "255"),
        ({"ignore": (1, 1, 1)}, "an index, 0..255"),
        ({"ignore": [1, 2]}, r"an index, 0\.\.255, or a colour, \[R, G, B\]"),
        ({"ignore": "void"}, "an index"),
        ({"ignore": 1}, "got 1, which is a class"),
        ({"masks": "colour", "ignore": 255}, r"a colour, \[R, G, B\]"),
        ({"masks": "colour", "ignore": (0, 200, 0)}, "which is a class"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Folder.model_validate({**fabricated.FOLDER, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"splits": {"train": 1, "vall": 1}}, "no split 'vall'; did you mean 'val'"),
        ({"splits": {"train": 1}, "lists": {"trian": "val"}}, "no split 'trian'; did you mean"),
        ({"splits": {"train": 1}, "lists": {"train": "al"}}, "no split 'al'"),
    ],
)
def test_splits_lists_and_shares_fit_each_other(changes: dict[str, Any], message: str) -> None:
    told = {"shards": 1, "folder": {**fabricated.FOLDER, "shares": SHARES}, **changes}
    with pytest.raises(ValueError, match=message):
        Convert.model_validate(told)


def test_the_guides_table_file_is_a_table_file(tmp_path: Path) -> None:
    guide = (ROOT / "docs/datasets.md").read_text("utf-8")
    (table,) = re.findall(r"```yaml\n( *tables:.*?)```", guide, re.DOTALL)
    (tmp_path / "tables").mkdir()
    shutil.copy(SHIPPED / "params.yaml", tmp_path)
    (tmp_path / "tables/leaves.yaml").write_text(table)
    loaded = reader.load("leaves", tmp_path)
    assert loaded.table.datasets["leaves"].convert.folder is not None
