"""The training's stage as a process that Ctrl-C and SIGTERM end in the middle."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fcn.network import build, model_file
from fcn.records import verdict
from fcn.settings import reader
from tests import interrupts
from tests.shipped import ROOT, SHIPPED

KEY = "digits-fcn32s"
OFTEN, NEVER = "{steps: 2}", "{minutes: 600}"
"""How often a checkpoint is written."""


@pytest.fixture(scope="module")
def start(keras_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model to start from, untrained."""
    table = reader.load(KEY, SHIPPED).table
    path = tmp_path_factory.mktemp("start") / "start.keras"
    model_file.save(build.network("fcn32s", "vgg16", table.network(KEY), 1, 11), path)
    return path


@pytest.fixture
def train(
    start: Path, small_records: Path, tmp_path: Path
) -> Callable[[str], subprocess.Popen[str]]:
    """Start a training in a project of its own that takes longer than any test."""
    verdict.write(tmp_path / "valid.json", small_records)
    (tmp_path / "tables").mkdir()
    table = (SHIPPED / "tables/digits.yaml").read_text("utf-8")
    table = re.sub(r"\{epochs: \d+, batch: \d+", "{epochs: 100000, batch: 4", table)
    (tmp_path / "tables/digits.yaml").write_text(table, "utf-8")

    def run(checkpoints: str) -> subprocess.Popen[str]:
        params = (SHIPPED / "params.yaml").read_text("utf-8")
        params, count = re.subn(r"(?m)^checkpoints: .*$", f"checkpoints: {checkpoints}", params)
        assert count
        (tmp_path / "params.yaml").write_text(params, "utf-8")
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "stages.train", KEY, "--no-tracking"),
                *("--records", str(small_records), "--valid", "valid.json"),
                *("--init-from", str(start), "--out", "out.keras", "--curve", "curve.csv"),
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=interrupts.heed,
        )

    return run


def interrupt(training: subprocess.Popen[str], sent: signal.Signals) -> tuple[str, list[str]]:
    """Send a signal after some epochs; return the output before them, and the lines after it."""
    before = ""
    with training:
        assert training.stderr is not None
        while before.count("  epoch ") < 4:
            line = training.stderr.readline()
            assert line, before
            before += line
        training.send_signal(sent)
        _, after = training.communicate(timeout=300)
    return before, [line for line in after.splitlines() if "epoch" not in line]


def test_an_interrupted_training_says_where_it_continues_and_does(
    train: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    resumes = ""
    for sent, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        training = train(OFTEN)
        before, lines = interrupt(training, sent)
        assert resumes in before
        folders = (tmp_path / "data/checkpoints" / KEY).glob("*/*")
        names = sorted(path.name for path in folders)
        step = int(names[-1].removeprefix("step-"))
        assert (training.returncode, lines) == (
            code,
            [f"interrupted; run again: continues at step {step}"],
        )
        assert all(name.startswith("step-") for name in names)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
            ["data", "params.yaml", "tables", "valid.json"]
        )
        resumes = f"{KEY}: resumes from the checkpoint at step {step}\n"
    before, _ = interrupt(train(OFTEN), signal.SIGINT)
    assert resumes in before


def test_a_training_interrupted_before_its_first_checkpoint_starts_from_step_0(
    train: Callable[[str], subprocess.Popen[str]],
) -> None:
    training = train(NEVER)
    _, lines = interrupt(training, signal.SIGINT)
    assert (training.returncode, lines) == (130, ["interrupted; run again: starts from step 0"])
