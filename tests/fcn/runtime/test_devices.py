"""Which GPUs a training holds."""

import subprocess
import sys
from pathlib import Path

import pytest

from fcn.runtime import devices, locks

TRAIN = """
import sys
from pathlib import Path
from fcn.runtime import devices
from stages import train
devices.LOCKS, devices.gpus = Path(sys.argv[1]), lambda: ["0"]
train.train(sys.argv[2], *map(Path, sys.argv[3:]))
"""


@pytest.mark.parametrize(
    ("present", "visible", "taken"),
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
    visible: str | None,
    taken: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in present:
        (tmp_path / name).touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.gpus(tmp_path) == taken


@pytest.mark.parametrize("present", [[], ["0"], ["0", "3"]])
def test_a_training_holds_every_gpu_that_it_will_use(
    present: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: present)
    monkeypatch.setattr(devices, "LOCKS", tmp_path)
    with devices.hold("digits-fcn8s"):
        held = {file.name for file in tmp_path.iterdir() if "digits-fcn8s" in file.read_text()}
    assert held == {f"gpu-{gpu}" for gpu in present}


def test_the_training_stage_waits_before_it_imports_keras(
    tmp_path: Path, small_records: Path, valid: Path
) -> None:
    missing = [tmp_path / name for name in ("start.keras", "out.keras", "loss.csv")]
    command = [sys.executable, "-c", TRAIN, tmp_path, "digits-fcn32s", small_records, valid]
    with locks.hold(tmp_path / "gpu-0", "digits-fcn16s", pytest.fail):
        stage = subprocess.Popen([*command, *missing], stderr=subprocess.PIPE, text=True)
        try:
            assert stage.stderr is not None
            line = stage.stderr.readline()
            assert line.startswith("digits-fcn32s: waiting for digits-fcn16s (process ")
            assert line.endswith("), which holds gpu-0\n")
        finally:
            stage.kill()
            stage.communicate()
