from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcn.conversion import shards
from fcn.datasets.shared import catalogue
from fcn.labels import check as labels
from fcn.labels.findings import CheckedRecords, Finding, summary
from fcn.labels.integrity import INTEGRITY_RULES
from fcn.labels.leakage import LEAKAGE_RULES
from fcn.labels.rules import EXAMPLE_RULES, SET_RULES, SOURCE_RULES, Severity
from fcn.records import onehot
from fcn.records.index import read_index
from fcn.records.labels import read_labels
from fcn.records.sample import IGNORE_INDEX, Note, Overlap, Sample
from fcn.runtime import workers
from tests.conftest import SPLITS

DIGITS = catalogue.load("digits")


def write(
    folder: Path,
    splits: Mapping[str, Sequence[Sample]],
    overlaps: tuple[Overlap, ...] = (),
    encoding: str = "index",
) -> Path:
    folder.mkdir()
    shards.write(folder, replace(DIGITS, overlaps=overlaps), splits, 1, encoding)
    return folder


def check(
    folder: Path,
    promised: Mapping[str, int] | None = None,
    severity: Mapping[str, Severity] | None = None,
    near: int = 4,
    worker_count: int = 1,
) -> CheckedRecords:
    return labels.check(
        folder, promised or {}, severity=severity or {}, near=near, worker_count=worker_count
    )


def sample(name: str, seed: int, group: str = "", mask: np.ndarray | None = None) -> Sample:
    image = np.random.default_rng(seed).integers(0, 256, (12, 16), np.uint8)
    every_class = np.arange(192, dtype=np.uint8).reshape(12, 16) % 11
    return Sample(name, image, every_class if mask is None else mask, (group or name,))


def whole(value: int) -> np.ndarray:
    return np.full((12, 16), value, np.uint8)


def seen(checked: CheckedRecords) -> list[tuple[str, str, str, str]]:
    return [(f.severity, f.rule, f.split, f.example) for f in checked.findings]


def test_sound_records_have_no_finding(tmp_path: Path) -> None:
    folder = write(tmp_path / "r", {"train": [sample("a", 1)], "test": [sample("b", 2)]})
    checked = check(folder, {"train": 1, "test": 1})
    assert (checked.findings, checked.verdict) == ([], "valid")


def test_the_projects_own_records_are_valid(small_records: Path) -> None:
    checked = check(small_records, SPLITS)
    assert {finding.rule for finding in checked.findings} <= {"class_never_seen"}
    assert checked.verdict == "valid"


def test_findings_name_split_and_example_errors_first(tmp_path: Path) -> None:
    note = (Note("rgb_mask", "c.png is RGB"), Note("unknown_colours", "c.png: 3 pixels"))
    folder = write(
        tmp_path / "r",
        {
            "train": [sample("a", 1, "g"), sample("nothing", 2, mask=whole(IGNORE_INDEX))],
            "test": [
                sample("b", 1, "g"),
                sample("strange", 3, mask=whole(99)),
                replace(sample("c", 4), notes=note),
            ],
        },
    )
    checked = check(folder, {"train": 2, "test": 4})
    assert checked.verdict == "invalid"
    assert checked.errors == [f for f in checked.findings if f.severity == "error"]
    assert seen(checked) == [
        ("error", "values", "test", "strange"),
        ("error", "unknown_colours", "test", "c"),
        ("error", "promised", "test", ""),
        ("error", "same_image", "test", "b"),
        ("error", "same_group", "test", "b"),
        ("warning", "nothing_known", "train", "nothing"),
        ("warning", "rgb_mask", "test", "c"),
    ]
    by_rule = {finding.rule: finding for finding in checked.findings}
    assert (by_rule["values"].pixels, by_rule["values"].other) == (192, None)
    assert by_rule["same_image"].other == ("train", "a")
    assert by_rule["rgb_mask"].message == "c.png is RGB"


def test_settings_change_a_severity_and_off_disables_a_rule(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "r",
        {
            "train": [sample("a", 1, "g"), sample("empty", 2, mask=whole(0))],
            "test": [sample("b", 3, "g")],
        },
    )
    usual = [("error", "same_group", "test", "b"), ("warning", "empty", "train", "empty")]
    assert seen(check(folder)) == usual
    own: dict[str, Severity] = {"same_group": "warning", "empty": "error"}
    assert seen(check(folder, severity=own)) == [
        ("error", "empty", "train", "empty"),
        ("warning", "same_group", "test", "b"),
    ]
    assert seen(check(folder, severity={"same_group": "off", "empty": "off"})) == []


def test_a_severity_for_no_rule_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"severity: no rule 'emty'; did you mean 'empty'"):
        check(tmp_path, severity={"emty": "off"})


def test_every_rule_has_a_severity_and_a_name_of_its_own() -> None:
    kinds = (EXAMPLE_RULES, SOURCE_RULES, INTEGRITY_RULES, SET_RULES, LEAKAGE_RULES)
    names = [rule for kind in kinds for rule in kind]
    assert sorted(labels.DEFAULTS) == sorted([*names, labels.STALE])
    assert set(labels.DEFAULTS.values()) == {"error", "warning"}


def test_a_declared_overlap_covers_its_rule_and_splits_and_nothing_else(tmp_path: Path) -> None:
    splits = {
        "train": [sample("a", 1, "g")],
        "val": [sample("b", 1, "g"), sample("c", 2, "g")],
        "test": [sample("d", 3, "g")],
    }
    declared = Overlap("same_group", ("val", "train"), "one drive")
    checked = check(write(tmp_path / "r", splits, (declared,)))
    assert checked.accepted == {declared: 2}
    assert [(f.rule, f.example, f.other) for f in checked.findings] == [
        ("same_image", "b", ("train", "a")),
        ("same_group", "d", ("train", "a")),
        ("same_group", "d", ("val", "b")),
    ]
    assert checked.content()["overlaps"] == [
        {"rule": "same_group", "splits": ("val", "train"), "reason": "one drive", "findings": 2}
    ]


def test_an_overlap_that_covers_nothing_is_odd_where_both_splits_are_there(tmp_path: Path) -> None:
    declared = tuple(Overlap("same_id", ("train", other), "once") for other in ("test", "val"))
    splits = {"train": [sample("a", 1)], "test": [sample("b", 2)]}
    folder = write(tmp_path / "r", splits, declared)
    assert check(folder, severity={"same_id": "off"}).findings == []
    (finding,) = check(folder).findings
    said = "the overlap same_id of train and test is declared, but there is none"
    assert finding == Finding("stale_overlap", "warning", "", "", said)


def test_near_images_are_found_within_the_bits_of_the_settings(tmp_path: Path) -> None:
    copy = sample("copy", 1)
    assert isinstance(copy.image, np.ndarray)
    brighter = replace(copy, image=copy.image // 2 + 60)
    folder = write(tmp_path / "r", {"train": [sample("a", 1)], "test": [brighter, sample("b", 2)]})
    (finding,) = check(folder, near=4).findings
    assert (finding.rule, finding.example, finding.other) == ("near_image", "copy", ("train", "a"))
    assert check(folder, severity={"near_image": "off"}).findings == []


def test_one_hot_rows_are_checked_as_they_were_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = write(tmp_path / "a", {"train": [sample("a", 1)]}, encoding="onehot")
    assert check(sound).findings == []
    rows = onehot.rows

    def broken(mask: np.ndarray, classes: int) -> np.ndarray:
        made = rows(mask, classes)
        made[5, 7, :2] = 1
        made[11, 15] = 0
        return made

    monkeypatch.setattr(onehot, "rows", broken)
    folder = write(tmp_path / "b", {"train": [sample("a", 1)]}, encoding="onehot")
    several, zero, mismatch = check(folder).findings
    assert (several.rule, several.severity) == ("one_hot_rows", "error")
    assert several.message.endswith("not a single 1, first at row 5, column 7")
    assert zero.message.endswith("but 0 ignored; first at row 11, column 15")
    assert mismatch.rule == "index_mismatch"


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_chunks_and_workers_change_nothing(
    chunk: int, small_records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = check(small_records, SPLITS)
    monkeypatch.setattr(labels, "CHUNK", chunk)
    assert check(small_records, SPLITS, worker_count=2).content() == once.content()


def test_a_cluster_finds_the_same(
    cluster: str, small_records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = check(small_records, SPLITS)
    monkeypatch.setenv(workers.SCHEDULER, cluster)
    assert check(small_records, SPLITS).content() == once.content()


def test_records_that_cannot_be_read_are_no_finding_but_an_error(own_records: Path) -> None:
    path = next(own_records.glob("val*.tfrecord"))
    path.write_bytes(path.read_bytes()[:-1])
    for worker_count in (1, 2):
        with pytest.raises(ValueError, match="cut short"):
            check(own_records, worker_count=worker_count)


def test_the_summary_counts_each_split(tmp_path: Path) -> None:
    mask = np.array([[0, 0, 1], [10, IGNORE_INDEX, IGNORE_INDEX]], np.uint8)
    small = [replace(sample(name, 1, group), mask=mask) for name, group in ("ag", "bg", "ch")]
    folder = write(tmp_path / "r", {"train": small, "test": [sample("d", 4)]})
    rows = read_index(folder)
    content: dict[str, Any] = summary(rows, read_labels(folder))
    assert list(content) == ["train", "test"]
    train = content["train"]
    assert (train["examples"], train["groups"]) == (3, 2)
    assert train["ignored_share"] == pytest.approx(2 / 6)
    shares = train["class_share"]
    assert [shares[name] for name in ("background", "0", "1", "9")] == pytest.approx(
        [2 / 6, 1 / 6, 0, 1 / 6]
    )
    assert content["test"]["ignored_share"] == 0
