from pathlib import Path
from typing import Any

import pytest

from fcn.common import files
from fcn.records import verdict
from fcn.records.fingerprint import fingerprint


@pytest.fixture
def valid(own_records: Path, tmp_path: Path) -> Path:
    verdict.write(tmp_path / "valid.json", own_records)
    return tmp_path / "valid.json"


def test_a_verdict_is_the_records_hash_and_nothing_else(valid: Path, own_records: Path) -> None:
    expected = {"records": fingerprint(own_records), "verdict": "valid"}
    assert files.read_json(valid) == expected


def test_proven_records_are_let_through(valid: Path, own_records: Path) -> None:
    assert verdict.require_valid(valid, own_records) == fingerprint(own_records)


def test_records_changed_since_their_proof_are_refused(valid: Path, own_records: Path) -> None:
    path = next(own_records.glob("*.tfrecord"))
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(
        ValueError, match=r"valid\.json is not about the records in .*run `dvc repro valid"
    ):
        verdict.require_valid(valid, own_records)


@pytest.mark.parametrize("change", [{"verdict": "invalid"}, {"records": "0" * 64}, {"more": 1}])
def test_another_verdict_is_refused(change: dict[str, Any], valid: Path, own_records: Path) -> None:
    files.write_json(valid, files.read_json(valid) | change)
    with pytest.raises(ValueError, match="is not about the records in"):
        verdict.require_valid(valid, own_records)


def test_records_without_a_verdict_are_refused(own_records: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"valid\.json is missing"):
        verdict.require_valid(tmp_path / "valid.json", own_records)
