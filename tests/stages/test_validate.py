"""Broken labels and broken files stop the line, with the place in the message."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fcn import dataset, files, records
from tests.conftest import ROOT, SPLITS


def validate(folder: Path, out: Path) -> subprocess.CompletedProcess[str]:
    paths = {
        "records": folder,
        "report": out / "labels.json",
        "pictures": out / "pictures",
        "valid": out / "valid.json",
    }
    options = [part for name, path in paths.items() for part in (f"--{name}", str(path))]
    return subprocess.run(
        [sys.executable, "-m", "stages.validate", "digits", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "report"


def test_sound_labels_are_vouched_for(small_records: Path, out: Path) -> None:
    assert validate(small_records, out).returncode == 0
    verdict = files.read_json(out / "valid.json")
    assert verdict == {"records": records.fingerprint(small_records), "verdict": "valid"}
    assert len(list((out / "pictures").iterdir())) == sum(min(12, n) for n in SPLITS.values())
    report = files.read_json(out / "labels.json")
    assert report["verdict"] == "valid"
    assert {split: of["examples"] for split, of in report["splits"].items()} == SPLITS


def test_a_value_outside_the_classes_is_named_with_its_pixel(
    raw: Path, tmp_path: Path, out: Path
) -> None:
    source = dataset.load("digits")
    pairs = {
        split: list(source.pairs(raw, split, count, seed=7)) for split, count in SPLITS.items()
    }
    broken = pairs["val"][3]
    mask = broken.mask.copy()
    mask[5, 60] = 38
    pairs["val"][3] = replace(broken, mask=mask)
    with files.writing_folder(tmp_path / "records") as folder:
        records.write(folder, source, pairs, shards=2)
    done = validate(tmp_path / "records", out)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the labels of digits are invalid")
    assert "val val-00003: 1 pixels hold [38], first at row 5, column 60" in done.stderr
    assert "0..10 and 255" in done.stderr
    assert not (out / "valid.json").exists()
    assert files.read_json(out / "labels.json")["verdict"] == "invalid"


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
def test_a_damaged_record_file_is_named(damage, said: str, own_records: Path, out: Path) -> None:  # type: ignore[no-untyped-def]
    name = "test-00001-of-00002.tfrecord"
    damage(own_records / name)
    done = validate(own_records, out)
    assert done.returncode == 1
    assert name in done.stderr
    assert said in done.stderr
    assert not (out / "valid.json").exists()
