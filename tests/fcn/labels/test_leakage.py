from collections.abc import Callable
from itertools import combinations
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fcn.labels import leakage
from fcn.labels.leakage import LEAKAGE_RULES, Appearances, appearance
from fcn.records.index import IndexRow
from tests.index_rows import index_row

NO_APPEARANCES = Appearances(np.array([], np.uint64), np.zeros((0, 32, 32), np.uint8))


def row(split: str, name: str, *group: str, image: str = "") -> IndexRow:
    return index_row(split, name, group=group, image_sha256=image or name)


def appearances(*images: np.ndarray) -> Appearances:
    seen = [appearance(image) for image in images]
    return Appearances(np.array([h for h, _ in seen], np.uint64), np.stack([t for _, t in seen]))


def photo(seed: int, height: int = 120, width: int = 160) -> np.ndarray:
    """Smooth random blobs in colour: as many bits and as much contrast as a photograph."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def canvas(*places: tuple[int, int]) -> np.ndarray:
    """A black canvas with white strokes: most pixels are equal whatever it shows."""
    image = np.zeros((64, 84, 1), np.uint8)
    for top, left in places:
        image[top : top + 12, left : left + 4] = 255
    return image


# A group and an image twice in a split are no leak.
SOUND = [row("train", "a", "g1", "g2"), row("train", "b", "g1", image="a"), row("test", "c", "g3")]
BROKEN = {
    "same_id": (row("test", "a", "g4"), "split train has this id too"),
    "same_image": (row("test", "d", "g4", image="a"), "the same image is a of split train"),
    "same_group": (row("test", "d", "g0", "g2", "g1"), "shares g1, g2 with a of split train"),
    "near_image": (row("test", "d", "g5"), "looks like a of split train (0 of 64 bits, r 1.000)"),
}


@pytest.mark.parametrize("rule", LEAKAGE_RULES)
def test_every_rule_finds_its_leak_and_passes_a_sound_set(rule: str) -> None:
    assert rule in BROKEN, "a new rule: give it a row that leaks"
    _, ask = LEAKAGE_RULES[rule]
    leaking, message = BROKEN[rule]
    three = [photo(1), photo(1), photo(2)]
    assert list(ask(SOUND, appearances(*three), 4)) == []
    (leak,) = ask([*SOUND, leaking], appearances(*three, photo(1)), 4)
    assert (leak.row, leak.other, leak.message) == (leaking, SOUND[0], message)


def test_every_leaking_row_is_named_once_for_each_split_it_leaks_from() -> None:
    rows = [row("train", "a", "g"), row("train", "b", "g"), row("val", "c", "g")]
    rows += [row("test", "d", "g"), row("test", "e", "g")]
    leaks = [
        (leak.row.id, leak.other.split) for leak in leakage.same_group(rows, NO_APPEARANCES, 0)
    ]
    assert leaks == [("c", "train"), ("d", "train"), ("d", "val"), ("e", "train"), ("e", "val")]


ROWS = st.lists(
    st.tuples(st.sampled_from("xyz"), st.sets(st.integers(0, 9), max_size=2), st.integers(0, 9)),
    max_size=8,
).map(
    lambda drawn: [
        row(split, str(number), *map(str, group), image=str(image))
        for number, (split, group, image) in enumerate(drawn)
    ]
)


@hypothesis_settings(deadline=None)
@given(rows=ROWS)
def test_a_leak_between_splits_is_found_exactly_when_there_is_one(rows: list[IndexRow]) -> None:
    apart = [(a, b) for a, b in combinations(rows, 2) if a.split != b.split]
    same = {(b.id, a.split) for a, b in apart if a.image_sha256 == b.image_sha256}
    found = leakage.same_image(rows, NO_APPEARANCES, 0)
    assert {(leak.row.id, leak.other.split) for leak in found} == same
    common = {(b.id, a.split) for a, b in apart if set(a.group) & set(b.group)}
    found = leakage.same_group(rows, NO_APPEARANCES, 0)
    assert {(leak.row.id, leak.other.split) for leak in found} == common


def jpeg(image: np.ndarray) -> np.ndarray:
    decoded = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "saved again as JPEG": jpeg,
    "half as large": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5),
    "brighter": lambda image: cv2.convertScaleAbs(image, beta=25),
    "less contrast": lambda image: cv2.convertScaleAbs(image, alpha=0.8),
    "grey": lambda image: cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_in_another_split_is_near(change: str) -> None:
    rows = [row("train", "a"), row("train", "b"), row("test", "copy"), row("test", "other")]
    images = [photo(1), photo(2), CHANGES[change](photo(2)), photo(3)]
    (leak,) = leakage.near_image(rows, appearances(*images), 4)
    assert (leak.row.id, leak.other.id) == ("copy", "b")


def test_of_several_near_images_the_nearest_is_named_once() -> None:
    rows = [row("train", "jpeg"), row("train", "same"), row("test", "copy")]
    (leak,) = leakage.near_image(rows, appearances(jpeg(photo(1)), photo(1), photo(1)), 4)
    assert leak.other.id == "same"


def test_the_same_bytes_are_left_to_the_rule_on_the_same_image() -> None:
    rows = [row("train", "a", image="x"), row("test", "b", image="x")]
    assert list(leakage.near_image(rows, appearances(photo(1), photo(1)), 4)) == []


def test_no_bits_between_hashes_means_equal_hashes() -> None:
    two = Appearances(
        np.array([0b1000, 0b1001], np.uint64), np.stack([appearance(photo(1))[1]] * 2)
    )
    rows = [row("train", "a"), row("test", "b")]
    assert list(leakage.near_image(rows, two, 0)) == []
    assert len(list(leakage.near_image(rows, two, 1))) == 1


def test_sparse_canvases_with_equal_hashes_are_not_near() -> None:
    first, second = canvas((2, 10), (40, 60)), canvas((2, 10), (40, 30))
    rows = [row("train", "a"), row("test", "b")]
    seen = appearances(first, second)
    same_hash = Appearances(np.zeros(2, np.uint64), seen.thumbnails)
    assert list(leakage.near_image(rows, same_hash, 4)) == []


def test_the_projects_canvases_are_not_near(small_records: Any) -> None:
    from fcn.records.split import Records

    rows, images = [], []
    for split in ("train", "val", "test"):
        source = Records(small_records, split)
        rows += source.rows
        images += [example.image for example in source]
    assert list(leakage.near_image(rows, appearances(*images), 16)) == []


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5000), (3000, 2), (32, 32)])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_every_size_have_a_look(height: int, width: int, channels: int) -> None:
    bits, thumbnail = appearance(np.full((height, width, channels), 9, np.uint8))
    assert 0 <= bits < 2**64
    assert (thumbnail.shape, thumbnail.dtype) == ((32, 32), np.uint8)


def test_images_without_contrast_are_alike_and_unlike_all_others() -> None:
    black, white, some = (np.full((1, 32, 32), value, np.uint8) for value in (0, 255, 0))
    some[0, :16] = 200
    assert leakage.correlation(black, white).tolist() == [1]
    assert leakage.correlation(black, some).tolist() == [0]
    assert leakage.correlation(some, some).tolist() == pytest.approx([1])
    assert leakage.correlation(some, 200 - some).tolist() == pytest.approx([-1])


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [photo(seed) for seed in (*range(6), 0, 3, 4, 9)]
    rows = [row("train" if n < 6 else "test", str(n)) for n in range(len(images))]

    def found() -> list[tuple[str, str]]:
        leaks = leakage.near_image(rows, appearances(*images), 4)
        return [(leak.row.id, leak.other.id) for leak in leaks]

    whole = found()
    monkeypatch.setattr(leakage, "BLOCK", 1)
    monkeypatch.setattr(leakage, "CANDIDATES", 1)
    assert found() == whole == [("6", "0"), ("7", "3"), ("8", "4")]
