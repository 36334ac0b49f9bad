from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fcn.labels import rules
from fcn.records import onehot
from fcn.records.index import IndexRow
from fcn.records.labels import Labels
from fcn.records.record import DecodedSample
from fcn.records.sample import IGNORE_INDEX
from tests.index_rows import index_row

TWO = Labels("two", ("ground", "thing"), ((0, 0, 0), (255, 0, 0)), 1)
MASK = np.array([[0, 1, 1], [IGNORE_INDEX, 0, 1]], np.uint8)
SOUND = DecodedSample("one", np.zeros((2, 3, 1), np.uint8), MASK)
ROW = index_row("train", "one", pixels=(2, 3), ignored=1)
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def hot(change: Any = None, classes: int = 2) -> DecodedSample:
    """The sound example stored as one-hot rows; `change` is (row, column, values)."""
    rows = onehot.rows(MASK, classes).copy()
    if change is not None:
        row, column, values = change
        rows[row, column] = values
    return replace(SOUND, label=onehot.mask(rows), one_hot=rows)


BROKEN = {
    "size": [(replace(SOUND, label=MASK.T), [(6, "image is 2x3, mask is 3x2")])],
    "values": [
        (
            replace(SOUND, label=np.where(MASK == 1, 7, MASK)),
            [
                (
                    3,
                    "3 pixels with [7], first at row 0, column 1; allowed: 0..1 and 255 (ignored)",
                )
            ],
        ),
        (
            replace(SOUND, label=np.where(MASK == IGNORE_INDEX, 2, MASK)),
            [
                (
                    1,
                    "1 pixel with [2], first at row 1, column 0; allowed: 0..1 and 255 (ignored)",
                )
            ],
        ),
    ],
    "one_hot_rows": [
        (
            hot((1, 2, [1, 1])),
            [(1, "1 pixel with a one-hot row that is not a single 1, first at row 1, column 2")],
        ),
        (
            hot((0, 1, [0, 2])),
            [(1, "1 pixel with a one-hot row that is not a single 1, first at row 0, column 1")],
        ),
        (
            hot((0, 2, [0, 0])),
            [
                (
                    1,
                    "2 pixels with a one-hot row of zeros, but 1 ignored; first at row 0, column 2",
                )
            ],
        ),
        (hot(classes=3), [(6, "one-hot rows of 3, but there are 2 classes")]),
    ],
    "nothing_known": [
        (replace(SOUND, label=np.full_like(MASK, IGNORE_INDEX)), [(6, "every pixel is ignored")])
    ],
    "empty": [
        (
            replace(SOUND, label=np.where(MASK == 1, 0, MASK)),
            [(5, "the mask is empty: every labelled pixel is 'ground'")],
        )
    ],
    "void_share": [
        (
            replace(SOUND, label=np.where(MASK == 1, IGNORE_INDEX, MASK)),
            [(4, "67% of the pixels are ignored")],
        )
    ],
}


@pytest.mark.parametrize("rule", rules.EXAMPLE_RULES)
def test_every_rule_finds_its_broken_examples_and_passes_sound_ones(rule: str) -> None:
    assert rule in BROKEN, "a new rule: give it an example that breaks it"
    _, ask = rules.EXAMPLE_RULES[rule]
    assert list(ask(SOUND, ROW, TWO)) == []
    assert list(ask(hot(), ROW, TWO)) == []
    for broken, said in BROKEN[rule]:
        assert list(ask(broken, ROW, TWO)) == said


def row(
    split: str, name: str, image: str = "", label: str = "", pixels: tuple[int, int] = (3, 2)
) -> IndexRow:
    return index_row(
        split, name, image_sha256=image or name, label_sha256=label or name, pixels=pixels
    )


SOUND_ROWS = [row("train", "a"), row("train", "b"), row("test", "a", image="c")]
PROMISED = {"train": 2, "test": 1}
BROKEN_SETS = {
    "promised": (SOUND_ROWS[1:], [("train", "", "1 examples, but the settings promise 2")]),
    "duplicate_id": (
        [*SOUND_ROWS, row("train", "a", image="z")],
        [("train", "a", "2 examples have this id")],
    ),
    "duplicate_image": (
        [*SOUND_ROWS, row("train", "d", "a", "a"), row("train", "e", "a", "e")],
        [
            ("train", "d", "the same image is a, with the same mask"),
            ("train", "e", "the same image is a, with another mask"),
        ],
    ),
    "class_never_seen": (
        [*SOUND_ROWS, row("val", "d", pixels=(5, 0))],
        [("val", "", "class 'thing' has no pixel")],
    ),
}


@pytest.mark.parametrize("rule", rules.SET_RULES)
def test_every_rule_finds_its_broken_set_and_passes_a_sound_one(rule: str) -> None:
    assert rule in BROKEN_SETS, "a new rule: give it rows that break the set"
    _, ask = rules.SET_RULES[rule]
    broken, said = BROKEN_SETS[rule]
    assert list(ask(SOUND_ROWS, TWO, PROMISED)) == []
    assert list(ask(broken, TWO, PROMISED)) == said


def test_a_missing_split_holds_fewer_than_promised() -> None:
    said = list(rules.promised_count(SOUND_ROWS, TWO, {"val": 7}))
    assert said == [("val", "", "0 examples, but the settings promise 7")]


@hypothesis_settings(deadline=None)
@given(mask=SIZES.flatmap(lambda hw: arrays(np.uint8, hw)), classes=st.integers(1, 254))
def test_a_pixel_is_wrong_exactly_when_it_is_no_class_and_not_ignored(
    mask: np.ndarray, classes: int
) -> None:
    wrong = rules.no_class(mask, classes)
    expected = (mask >= classes) & (mask != IGNORE_INDEX)
    assert (wrong is None) == (not expected.any())
    assert wrong is None or (wrong == expected).all()


ROWS = SIZES.flatmap(
    lambda hw: arrays(
        np.uint8, (*hw, 3), elements=st.sampled_from([0, 1, 1, 2, 255]), fill=st.just(0)
    )
)


@hypothesis_settings(deadline=None)
@given(rows=ROWS)
def test_a_row_is_wrong_exactly_when_it_is_neither_zeros_nor_a_single_1(rows: np.ndarray) -> None:
    wrong = rules.no_row(rows)
    expected = [
        [sorted(pixel) not in ([0, 0, 0], [0, 0, 1]) for pixel in line] for line in rows.tolist()
    ]
    assert (wrong is None) == (not np.any(expected))
    assert wrong is None or wrong.tolist() == expected
