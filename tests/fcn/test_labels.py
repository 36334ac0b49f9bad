from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fcn import dataset, files, labels, records
from fcn.dataset import IGNORE, Pair
from fcn.records import Decoded

DIGITS = dataset.load("digits")
TWO = records.Labels("two", ("ground", "thing"), ((0, 0, 0), (255, 0, 0)), 1)
MASK = np.array([[0, 1, 1], [IGNORE, 0, 1]], np.uint8)
SOUND = Decoded("one", np.zeros((2, 3, 1), np.uint8), MASK)
STRANGE = np.where(MASK == 1, 7, MASK)


def row(split: str, name: str, *group: str, image: str = "", pixels: Any = (3, 2)) -> Any:
    return {
        "split": split,
        "id": name,
        "group": list(group),
        "image_sha256": image or name,
        "pixels": list(pixels),
    }


# One sound set with what is allowed in it: a group and an image twice in a split.
SOUND_ROWS = [
    row("train", "a", "g1", "g2"),
    row("train", "b", "g1", image="a"),
    row("test", "c", "g3"),
]
BROKEN_EXAMPLES = {
    "size": (replace(SOUND, label=MASK.T), "image is 2x3, mask is 3x2"),
    "values": (
        replace(SOUND, label=STRANGE),
        "3 pixels hold [7], first at row 0, column 1; allowed: 0..1 and 255 (ignored)",
    ),
    "one_hot_rows": (
        replace(SOUND, label=STRANGE),
        "3 one-hot rows do not sum to 1, first at row 0, column 1",
    ),
    "nothing_known": (replace(SOUND, label=np.full_like(MASK, IGNORE)), "every pixel is ignored"),
}
BROKEN_SETS = {
    "same_id": (row("test", "a", "g4"), ("", "a", "2 examples have this id")),
    "same_image": (
        row("test", "d", "g4", image="a"),
        ("test", "d", "the same image is a of split train"),
    ),
    "same_group": (
        row("test", "d", "g0", "g2", "g1"),
        ("test", "d", "shares g1, g2 with a of split train"),
    ),
    "class_never_seen": (
        row("val", "d", "g4", pixels=(5, 0)),
        ("val", "", "class 'thing' has no pixel"),
    ),
}


@pytest.mark.parametrize("rule", labels.EXAMPLE_RULES)
def test_every_rule_finds_its_broken_example_and_passes_a_sound_one(rule: str) -> None:
    assert rule in BROKEN_EXAMPLES, "a new rule: give it an example that breaks it"
    _, ask = labels.EXAMPLE_RULES[rule]
    broken, message = BROKEN_EXAMPLES[rule]
    assert list(ask(SOUND, TWO)) == []
    assert list(ask(broken, TWO)) == [message]


@pytest.mark.parametrize("rule", labels.SET_RULES)
def test_every_rule_finds_its_broken_set_and_passes_a_sound_one(rule: str) -> None:
    assert rule in BROKEN_SETS, "a new rule: give it a row that breaks the set"
    _, ask = labels.SET_RULES[rule]
    broken, finding = BROKEN_SETS[rule]
    assert list(ask(SOUND_ROWS, TWO)) == []
    assert list(ask([*SOUND_ROWS, broken], TWO)) == [finding]


def test_every_leaking_row_is_named_once() -> None:
    leaks = [row("test", name, "g1", "g2", image="a") for name in ("d", "e")]
    for rule in (labels.same_image, labels.same_group):
        assert [name for _, name, _ in rule([*SOUND_ROWS, *leaks], TWO)] == ["d", "e"]


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
def test_a_leak_between_splits_is_found_exactly_when_there_is_one(rows: list[Any]) -> None:
    apart = [(a, b) for a, b in combinations(rows, 2) if a["split"] != b["split"]]
    assert bool(list(labels.same_image(rows, TWO))) == any(
        a["image_sha256"] == b["image_sha256"] for a, b in apart
    )
    assert bool(list(labels.same_group(rows, TWO))) == any(
        set(a["group"]) & set(b["group"]) for a, b in apart
    )


@hypothesis_settings(deadline=None)
@given(mask=arrays(np.uint8, (3, 4), elements=st.sampled_from([0, 1, 2, IGNORE])))
def test_one_hot_has_a_single_one_where_the_class_is_and_none_where_ignored(
    mask: np.ndarray,
) -> None:
    hot = labels.one_hot(mask, 3)
    assert (hot.shape, hot.dtype) == ((3, 4, 3), np.uint8)
    for place in np.ndindex(mask.shape):
        expected = [int(mask[place] == k) for k in range(3)]
        assert hot[place].tolist() == expected


def write(folder: Path, **splits: Iterable[Pair]) -> Path:
    folder.mkdir()
    records.write(folder, DIGITS, splits, 1)
    return folder


def pair(name: str, grey: int, group: str, mask: np.ndarray | None = None) -> Pair:
    every_class = np.arange(12, dtype=np.uint8).reshape(3, 4) % 11
    return Pair(
        name, np.full((3, 4), grey, np.uint8), every_class if mask is None else mask, (group,)
    )


def test_sound_records_have_no_finding(tmp_path: Path) -> None:
    folder = write(tmp_path / "r", train=[pair("a", 1, "g")], test=[pair("b", 2, "h")])
    assert labels.check(folder) == []


def test_the_projects_own_records_have_no_error(small_records: Path) -> None:
    assert {finding.severity for finding in labels.check(small_records)} <= {"warning"}


def test_findings_name_split_and_example_errors_first(tmp_path: Path) -> None:
    strange, empty = np.full((3, 4), 99, np.uint8), np.full((3, 4), IGNORE, np.uint8)
    folder = write(
        tmp_path / "r",
        train=[pair("a", 1, "g"), pair("nothing", 2, "g", empty)],
        test=[pair("b", 1, "g"), pair("strange", 3, "h", strange)],
    )
    found = [(f.severity, f.rule, f.split, f.example) for f in labels.check(folder)]
    assert found == [
        ("error", "values", "test", "strange"),
        ("error", "one_hot_rows", "test", "strange"),
        ("error", "same_image", "test", "b"),
        ("error", "same_group", "test", "b"),
        ("warning", "nothing_known", "train", "nothing"),
    ]


def test_records_that_cannot_be_read_are_no_finding_but_an_error(own_records: Path) -> None:
    path = next(own_records.glob("val*.tfrecord"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="cut short"):
        labels.check(own_records)


def test_the_summary_counts_each_split(tmp_path: Path) -> None:
    mask = np.array([[0, 0, 1], [10, IGNORE, IGNORE]], np.uint8)
    folder = write(
        tmp_path / "r",
        train=[pair("a", 1, "g", mask), pair("b", 2, "g", mask), pair("c", 3, "h", mask)],
        test=[pair("d", 4, "i")],
    )
    summary = labels.summary(folder)
    assert list(summary) == ["train", "test"]
    train = summary["train"]
    assert (train["examples"], train["groups"]) == (3, 2)
    assert train["ignored_share"] == pytest.approx(2 / 6)
    shares = train["class_share"]
    assert [shares[name] for name in ("background", "0", "1", "9")] == pytest.approx(
        [2 / 6, 1 / 6, 0, 1 / 6]
    )
    assert summary["test"]["ignored_share"] == 0


@pytest.fixture
def verdict(own_records: Path, tmp_path: Path) -> Path:
    content = {"records": records.fingerprint(own_records), "verdict": "valid"}
    files.write_json(tmp_path / "valid.json", content)
    return tmp_path / "valid.json"


def test_proven_records_are_let_through(verdict: Path, own_records: Path) -> None:
    assert labels.require_valid(verdict, own_records) == records.fingerprint(own_records)


def test_records_changed_since_their_proof_are_refused(verdict: Path, own_records: Path) -> None:
    path = next(own_records.glob("*.tfrecord"))
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ValueError, match=r"valid\.json does not vouch for .*run `dvc repro valid"):
        labels.require_valid(verdict, own_records)


@pytest.mark.parametrize("change", [{"verdict": "invalid"}, {"records": "0" * 64}, {"more": 1}])
def test_another_verdict_is_refused(
    change: dict[str, Any], verdict: Path, own_records: Path
) -> None:
    files.write_json(verdict, files.read_json(verdict) | change)
    with pytest.raises(ValueError, match="does not vouch for"):
        labels.require_valid(verdict, own_records)


def test_records_without_a_verdict_are_refused(own_records: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"valid\.json is missing"):
        labels.require_valid(tmp_path / "valid.json", own_records)
