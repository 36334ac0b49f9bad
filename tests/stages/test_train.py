"""What the training's stage refuses before it trains, at the stage itself."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fcn.conversion import shards
from fcn.datasets.shared import catalogue
from fcn.records import verdict
from fcn.training import checkpoints
from stages import train

pytestmark = pytest.mark.usefixtures("keras_ready")


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path], pytest.ExceptionInfo[ValueError]]:
    """Train on records that were found valid; return what the stage says."""
    monkeypatch.setattr(checkpoints, "ROOT", tmp_path / "checkpoints")

    def call(folder: Path) -> pytest.ExceptionInfo[ValueError]:
        valid = tmp_path / "valid.json"
        verdict.write(valid, folder)
        before = set(tmp_path.iterdir())
        missing = (tmp_path / name for name in ("start.keras", "out.keras", "loss.csv"))
        with pytest.raises(ValueError) as caught:  # noqa: PT011  the tests look at what it says
            train.train("digits-fcn32s", folder, valid, *missing, no_tracking=True)
        assert set(tmp_path.iterdir()) == before
        return caught

    return call


def test_a_batch_larger_than_the_split(
    raw: Path, tmp_path: Path, refused: Callable[[Path], pytest.ExceptionInfo[ValueError]]
) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    source = catalogue.load("digits")
    few = {split: source.samples(raw, split, 4, seed=7) for split in ("train", "val")}
    shards.write(folder, source, few, shards=1)
    assert refused(folder).match(r"^training\.batch: got 8, allowed: 1\.\.4, the split's ")


def test_an_empty_validation_split(
    raw: Path, tmp_path: Path, refused: Callable[[Path], pytest.ExceptionInfo[ValueError]]
) -> None:
    folder = tmp_path / "without-val"
    folder.mkdir()
    source = catalogue.load("digits")
    shards.write(folder, source, {"train": source.samples(raw, "train", 4, seed=7)}, shards=1)
    said = refused(folder)
    assert said.match(r"without-val has no examples of split 'val'; it has: train")


def test_records_shorter_than_their_index_promises(
    own_records: Path, refused: Callable[[Path], pytest.ExceptionInfo[ValueError]]
) -> None:
    shard = own_records / "train-00001-of-00002.tfrecord"
    os.truncate(shard, shard.stat().st_size - 10)
    said = refused(own_records)
    assert said.match(rf"{shard.name}: record .* the file was cut short; delete the folder and run")
