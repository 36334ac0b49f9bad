import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fcn.runtime import devices

ROOT = Path(__file__).parents[3]
HOLD = """
import sys, time
from pathlib import Path
from fcn.runtime import devices
with devices.lock(Path(sys.argv[1]), sys.argv[2], seconds=0.05):
    print("has it", flush=True)
    sys.stdin.read()
"""
TRAIN = """
import sys
from pathlib import Path
from fcn.runtime import devices
from stages import train
devices.LOCKS, devices.gpus = Path(sys.argv[1]), lambda: ["0"]
train.train(sys.argv[2], *map(Path, sys.argv[3:]))
"""


class Holder:
    """A process that takes the lock file and keeps it until its stdin ends."""

    def __init__(self, path: Path, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path), name],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def has_it(self) -> bool:
        assert self.process.stdout is not None
        return self.process.stdout.readline() == "has it\n"

    def says(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.readline()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "gpu-0"


@pytest.fixture
def holder(path: Path) -> Iterator[Holder]:
    holder = Holder(path, "digits-fcn16s")
    assert holder.has_it()
    yield holder
    holder.kill()


def test_a_second_training_waits_says_for_whom_and_goes_on(path: Path, holder: Holder) -> None:
    second = Holder(path, "digits-fcn8s")
    try:
        said = second.says()
        who = rf"digits-fcn16s \(process {holder.process.pid}, since \d{{4}}-\d\d-\d\d \d\d:\d\d\)"
        assert re.fullmatch(rf"digits-fcn8s: waits for {who}; it has gpu-0\n", said)
        time.sleep(0.3)
        assert second.process.poll() is None
        holder.process.communicate()  # ends its stdin
        assert second.has_it()
    finally:
        second.kill()


def test_kill_9_of_the_holder_frees_the_gpu(path: Path, holder: Holder) -> None:
    second = Holder(path, "digits-fcn8s")
    try:
        assert "waits for digits-fcn16s" in second.says()
        holder.kill()
        assert second.has_it()
        assert f"digits-fcn8s (process {second.process.pid}" in path.read_text()
    finally:
        second.kill()


def test_a_killed_holders_name_stays_for_nobody(path: Path, holder: Holder) -> None:
    holder.kill()
    assert "digits-fcn16s" in path.read_text()
    with devices.lock(path, "digits-fcn8s"):
        assert path.read_text().startswith(f"digits-fcn8s (process {os.getpid()}, since ")
    assert path.read_text() == ""


def test_the_lock_is_free_after_a_training_that_failed(path: Path) -> None:
    with pytest.raises(ValueError, match="no loss"), devices.lock(path, "one"):
        raise ValueError("no loss")
    with devices.lock(path, "two"):
        pass


def test_nobody_else_may_read_or_redirect_it(path: Path) -> None:
    with devices.lock(path, "one"):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    target = path.with_name("precious")
    target.write_text("kept")
    path.unlink()
    path.symlink_to(target)
    with pytest.raises(OSError, match="gpu-0"), devices.lock(path, "one"):
        pass
    assert target.read_text() == "kept"


@pytest.mark.parametrize(
    ("present", "chosen", "taken"),
    [
        ([], None, []),
        ([], "0", []),
        (["nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"], None, ["0", "1"]),
        (["nvidia0", "nvidia1"], "1", ["1"]),
        (["nvidia0", "nvidia1"], "1, 0", ["0", "1"]),
        (["nvidia0", "nvidia1"], "", []),
        (["nvidia0", "nvidia1"], "-1", []),
        (["nvidia0", "nvidia1"], "1,-1,0", ["1"]),
        (["nvidia0"], "GPU-8932f937", ["GPU-8932f937"]),
    ],
)
def test_gpus_are_those_that_a_backend_would_take(
    present: list[str],
    chosen: str | None,
    taken: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in present:
        (tmp_path / name).touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if chosen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert devices.gpus(tmp_path) == taken


@pytest.mark.parametrize("found", [[], ["0"], ["0", "3"]])
def test_a_slot_is_every_gpu_that_the_training_will_use(
    found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: found)
    monkeypatch.setattr(devices, "LOCKS", tmp_path)
    with devices.slot("digits-fcn8s"):
        held = {file.name for file in tmp_path.iterdir() if "digits-fcn8s" in file.read_text()}
    assert held == {f"gpu-{gpu}" for gpu in found}


def test_the_training_stage_waits_before_it_imports_keras(
    path: Path, holder: Holder, small_records: Path, valid: Path
) -> None:
    missing = [path.parent / name for name in ("start.keras", "out.keras", "loss.csv")]
    stage = subprocess.Popen(
        [sys.executable, "-c", TRAIN, path.parent, "digits-fcn32s", small_records, valid, *missing],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert stage.stderr is not None
        assert "digits-fcn32s: waits for digits-fcn16s" in stage.stderr.readline()
    finally:
        stage.kill()
        stage.communicate()
