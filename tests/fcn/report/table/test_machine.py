"""What a table records about the machine that made it."""

import json
import platform
import socket
from pathlib import Path

import numpy as np
import pytest

from fcn.report.table import machine

CPUINFO = """processor\t: 0
model name\t: Some CPU @ 2.70GHz
cpu MHz\t\t: 2699.998
flags\t\t: fpu sse4_2 avx avx2 fma hypervisor avx512f amx_tile

processor\t: 1
model name\t: Some CPU @ 2.70GHz
"""
CACHES = [("1", "Data", "48K"), ("1", "Instruction", "32K"), ("3", "Unified", "300M")]
ARM = "processor\t: 0\nFeatures\t: fp asimd sve bf16\n"


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """The files that Linux has about one CPU with two caches and a GPU."""
    write(tmp_path / "proc/cpuinfo", CPUINFO)
    write(tmp_path / "proc/driver/nvidia/gpus/0/information", "Model: \t NVIDIA X1\nIRQ: 7\n")
    cache = tmp_path / "sys/devices/system/cpu/cpu0/cache"
    for number, values in enumerate(CACHES):
        for name, value in zip(("level", "type", "size"), values, strict=True):
            write(cache / f"index{number}" / name, f"{value}\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_machine_is_described_by_what_decides_the_bits(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    described = machine.describe(system)
    assert described["cpu"] == "Some CPU @ 2.70GHz"
    assert described["instruction_sets"] == ["sse4_2", "avx", "avx2", "fma", "avx512f", "amx_tile"]
    assert described["caches"] == {"L1 cache": "48K", "L3 cache": "300M"}
    assert described["gpus"] == ["NVIDIA X1"]
    assert described["environment"]["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert described["cores"] >= 1
    assert described["versions"]["python"] == platform.python_version()
    assert described["versions"]["numpy"] == np.__version__


def test_the_features_of_an_arm_cpu_are_found(tmp_path: Path) -> None:
    write(tmp_path / "proc/cpuinfo", ARM)
    assert machine.describe(tmp_path)["instruction_sets"] == ["asimd", "bf16", "sve"]


def test_a_system_without_these_files_is_described_as_far_as_possible(tmp_path: Path) -> None:
    described = machine.describe(tmp_path)
    assert described["cpu"]
    assert (described["instruction_sets"], described["caches"], described["gpus"]) == ([], {}, [])


def test_the_same_machine_gives_the_same_text_without_its_name() -> None:
    text = json.dumps(machine.describe())
    assert json.dumps(machine.describe()) == text
    assert socket.gethostname() not in json.loads(text).values()
