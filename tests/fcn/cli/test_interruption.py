"""What an interrupted command reports; tests of stages and commands interrupt real processes."""

from pathlib import Path

import numpy as np
import pytest

from fcn.cli import interruption
from fcn.common import files
from fcn.settings.common import Checkpoints
from fcn.training import checkpoints

KEY = "digits-fcn8s"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(checkpoints, "ROOT", tmp_path / "checkpoints")
    return checkpoints.ROOT


def store(root: Path, *steps: int) -> None:
    """Write checkpoints as a training does."""
    opened = checkpoints.CheckpointStore(KEY, "0" * 64, Checkpoints(steps=5), root)
    for step in steps:
        opened.save(step, {}, {"weight": np.zeros(1)})


@pytest.mark.parametrize("command", interruption.TRAININGS)
def test_a_training_continues_at_its_newest_checkpoint(command: str, root: Path) -> None:
    store(root, 5, 10)
    assert interruption.describe(command, KEY, {}) == "run again: continues at step 10"


@pytest.mark.parametrize("command", interruption.TRAININGS)
def test_a_training_without_a_checkpoint_starts_from_step_0(command: str, root: Path) -> None:
    store(root)
    (root / KEY / ("0" * 16) / ".step-00000005.partial").mkdir()
    assert interruption.describe(command, KEY, {}) == "run again: starts from step 0"


def test_a_backbone_that_trains_nothing_names_no_step(tmp_path: Path) -> None:
    stamps = interruption.read_stamps([tmp_path / "out"])
    assert interruption.describe("train", KEY, stamps) == "run again: starts from step 0"
    assert interruption.describe("backbone", KEY, stamps) == "nothing was written"


def test_checkpoints_do_not_count_for_other_stages_of_the_same_key(
    root: Path, tmp_path: Path
) -> None:
    store(root, 5)
    stamps = interruption.read_stamps([tmp_path / "out"])
    assert interruption.describe("evaluate", KEY, stamps) == "nothing was written"


def test_outputs_that_changed_are_named_and_inputs_are_not(tmp_path: Path) -> None:
    names = ("records", "metrics.json", "plots", "removed.json", "missing.json")
    records, metrics, plots, removed, missing = (tmp_path / name for name in names)
    records.mkdir()
    for path in (metrics, removed):
        files.write_json(path, {})
    with files.writing_folder(plots):
        pass
    arguments = ["key", None, 3, records, metrics, plots, removed, missing]
    stamps = interruption.read_stamps(arguments)
    assert list(stamps) == [records, metrics, plots, removed, missing]
    files.write_json(metrics, {})
    with files.writing_folder(plots):
        pass
    removed.unlink()
    assert interruption.describe("evaluate", KEY, stamps) == (
        f"written: {metrics}, {plots}; run again for the rest"
    )


def test_a_command_without_paths_has_nothing_to_report() -> None:
    assert interruption.describe("explain", None, {}) == ""


def test_a_download_resumes() -> None:
    described = interruption.describe("download", "digits", {})
    assert described == "run again: complete files are kept, the download resumes"
