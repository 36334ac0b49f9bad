"""Broken labels and broken files fail with their place in the message."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from fcn.common import files
from fcn.conversion import shards
from fcn.datasets.shared import catalogue
from fcn.jobs import validate as job
from fcn.records import record, tfrecord
from fcn.records.example import Example
from fcn.records.fingerprint import fingerprint
from fcn.records.index import IndexRow, read_index
from fcn.records.sample import Note, Overlap, Sample
from stages import validate as stage
from tests.conftest import SPLITS

DIGITS = catalogue.load("digits")
Validate = Callable[[Path], None]


@pytest.fixture
def project(tree: Callable[[str, str], Path]) -> Path:
    """A folder with the settings, which promise as many examples as the small records hold."""
    promised = ", ".join(f"{split}: {count}" for split, count in SPLITS.items())
    folder = tree("{train: 2000, val: 200, test: 400}", f"{{{promised}}}")
    params = folder / "params.yaml"
    params.write_text(params.read_text().replace("workers: 0", "workers: 1"))
    return folder


def paths(folder: Path, out: Path) -> dict[str, Path]:
    return {
        "records": folder,
        "report": out / "labels.json",
        "pictures": out / "pictures",
        "valid": out / "valid.json",
    }


@pytest.fixture
def validate(project: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> Validate:
    """The stage on a folder of records, run in the project and in this process."""
    monkeypatch.chdir(project)
    return lambda folder: stage.validate("digits", **paths(folder, out))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "report"


@pytest.fixture
def samples(raw: Path) -> dict[str, list[Sample]]:
    return {split: list(DIGITS.samples(raw, split, n, seed=7)) for split, n in SPLITS.items()}


def write(
    folder: Path, samples: Mapping[str, Sequence[Sample]], overlaps: tuple[Overlap, ...] = ()
) -> Path:
    with files.writing_folder(folder) as aside:
        shards.write(aside, replace(DIGITS, overlaps=overlaps), samples, shards=2)
    return folder


def test_sound_labels_are_valid(validate: Validate, small_records: Path, out: Path) -> None:
    validate(small_records)
    verdict = files.read_json(out / "valid.json")
    assert verdict == {"records": fingerprint(small_records), "verdict": "valid"}
    for split, count in SPLITS.items():
        shown = list((out / "pictures/examples" / split).iterdir())
        assert len(shown) == min(12, count)
    assert (out / "pictures/class_share.png").exists()
    assert not (out / "pictures/offenders").exists()
    report = files.read_json(out / "labels.json")
    assert report["verdict"] == "valid"
    assert {split: of["examples"] for split, of in report["splits"].items()} == SPLITS


def test_a_value_outside_the_classes_is_named_with_its_pixel_and_shown(
    project: Path, samples: dict[str, list[Sample]], tmp_path: Path, out: Path
) -> None:
    mask = samples["val"][3].mask.copy()
    mask[5, 60] = 38
    samples["val"][3] = replace(samples["val"][3], mask=mask)
    given = paths(write(tmp_path / "records", samples), out).items()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "stages.validate", "digits"),
            *(part for name, path in given for part in (f"--{name}", str(path))),
        ],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: the labels of digits are invalid")
    assert "val val-00003: 1 pixel with [38], first at row 5, column 60" in done.stderr
    assert "0..10 and 255" in done.stderr
    assert not (out / "valid.json").exists()
    assert files.read_json(out / "labels.json")["verdict"] == "invalid"
    assert (out / "pictures/offenders/00-values-val-00003.png").exists()


def test_an_older_verdict_does_not_outlive_a_failure(
    validate: Validate, small_records: Path, project: Path, out: Path
) -> None:
    validate(small_records)
    table = project / "tables/digits.yaml"
    table.write_text(table.read_text().replace("train: 12", "train: 13"))
    with pytest.raises(ValueError, match="12 examples, but the settings promise 13"):
        validate(small_records)
    assert not (out / "valid.json").exists()


def test_notes_on_the_source_mask_are_reported(
    validate: Validate, samples: dict[str, list[Sample]], tmp_path: Path
) -> None:
    said = "a.png: 7 pixels of 2 colours that match no class, the first at row 1, column 2"
    samples["train"][1] = replace(samples["train"][1], notes=(Note("unknown_colours", said),))
    with pytest.raises(ValueError, match=rf"train train-00001: {said} \(unknown_colours\)"):
        validate(write(tmp_path / "records", samples))


def test_fewer_examples_than_the_settings_promise_are_an_error(
    validate: Validate, samples: dict[str, list[Sample]], tmp_path: Path
) -> None:
    del samples["test"][0]
    said = r"test: 5 examples, but the settings promise 6 \(promised\)"
    with pytest.raises(ValueError, match=said):
        validate(write(tmp_path / "records", samples))


def test_a_leak_is_an_error_unless_it_is_declared(
    validate: Validate,
    samples: dict[str, list[Sample]],
    tmp_path: Path,
    out: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    samples["test"][2] = replace(samples["test"][2], image=samples["train"][4].image)
    with pytest.raises(
        ValueError, match="test-00002: the same image is train-00004 of split train"
    ):
        validate(write(tmp_path / "leaking", samples))
    assert not (out / "valid.json").exists()
    declared = Overlap("same_image", ("train", "test"), "so it was published")
    validate(write(tmp_path / "declared", samples, (declared,)))
    assert "accepted, same_image of train and test (1): so it was" in capsys.readouterr().err
    (overlap,) = files.read_json(out / "labels.json")["overlaps"]
    assert overlap["findings"] == 1


def test_many_errors_are_counted_and_a_few_shown(
    validate: Validate, samples: dict[str, list[Sample]], tmp_path: Path, out: Path
) -> None:
    strange = [replace(sample, mask=np.full_like(sample.mask, 99)) for sample in samples["train"]]
    folder = write(tmp_path / "records", samples | {"train": strange})
    with pytest.raises(ValueError, match="12 error") as error:
        validate(folder)
    assert len(str(error.value).splitlines()) == 1 + job.SHOWN + 1
    assert str(error.value).endswith("and 7 more")
    assert len(list((out / "pictures/offenders").iterdir())) == 12


def test_a_severity_for_no_rule_is_refused_with_the_nearest(
    validate: Validate, project: Path, small_records: Path, out: Path
) -> None:
    table = project / "tables/digits.yaml"
    mild = "validate: {pictures: 12, severity: {same_imge: off}}"
    table.write_text(table.read_text().replace("validate: {pictures: 12}", mild))
    with pytest.raises(ValueError, match="no rule 'same_imge'; did you mean 'same_image'"):
        validate(small_records)
    assert not out.exists()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize(
    ("damage", "said"),
    [(flip, "does not match its CRC-32C"), (cut, "was cut short"), (Path.unlink, "is missing")],
)
def test_a_damaged_record_file_is_named(
    damage: Callable[[Path], None], said: str, validate: Validate, own_records: Path, out: Path
) -> None:
    name = "test-00001-of-00002.tfrecord"
    damage(own_records / name)
    with pytest.raises(ValueError, match=f"{name}.*{said}"):
        validate(own_records)
    assert not out.exists()


def relabel_last_record(path: Path, row: IndexRow) -> None:
    """Give a digit of a file's last record another class; the record keeps its length."""
    example = Example.from_bytes(tfrecord.read(path, row.offset, row.length))
    mask = record.decode(example, 1).label
    for before, after in product(np.unique(mask[mask > 0]), range(1, 11)):
        edited = np.where(mask == before, np.uint8(after), mask)
        data = replace(example, label=record.encode_png(edited)).to_bytes()
        if before != after and len(data) == row.length:
            path.write_bytes(path.read_bytes()[: row.offset] + tfrecord.frame(data))
            return
    raise AssertionError("no other class keeps the length")


def test_a_mask_edited_with_a_fresh_checksum_is_found(
    validate: Validate, own_records: Path, out: Path
) -> None:
    row = read_index(own_records, "val")[-1]
    relabel_last_record(own_records / row.shard, row)
    said = rf"val {row.id}: .*label_sha256, pixels.*index\.parquet.* \(index_mismatch\)"
    with pytest.raises(ValueError, match=said):
        validate(own_records)
    assert not (out / "valid.json").exists()


def test_a_record_outside_the_index_is_found(
    validate: Validate, own_records: Path, out: Path
) -> None:
    row = read_index(own_records, "val")[-1]
    path = own_records / row.shard
    size = path.stat().st_size
    data = tfrecord.read(path, row.offset, row.length)
    with path.open("ab") as file:
        file.write(tfrecord.frame(data))
    said = rf"val: {path.name}: \d+ bytes from byte {size} on .* \(unindexed_record\)"
    with pytest.raises(ValueError, match=said):
        validate(own_records)
    assert not (out / "valid.json").exists()


def test_a_record_file_outside_the_index_is_found(validate: Validate, own_records: Path) -> None:
    name = "val-00002-of-00003.tfrecord"
    shutil.copyfile(own_records / "val-00001-of-00002.tfrecord", own_records / name)
    with pytest.raises(ValueError, match=rf"{name}: .* from byte 0 on .* \(unindexed_record\)"):
        validate(own_records)
