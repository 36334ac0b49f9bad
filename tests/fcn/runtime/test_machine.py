"""What a table and a checkpoint record about the machine."""

import json
import platform
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcn.runtime import machine

CPUINFO = """processor\t: 0
model name\t: Some CPU @ 2.70GHz
cpu MHz\t\t: 2699.998
flags\t\t: fpu sse4_2 avx avx2 fma hypervisor avx512f amx_tile

processor\t: 1
model name\t: Some CPU @ 2.70GHz
"""
CACHES = [
    ("1", "Data", "48K"),
    ("1", "Instruction", "32K"),
    ("2", "Unified", "2048K"),
    ("3", "Unified", "300M"),
]
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
    assert described["caches"] == {**{"L1 cache": "48K", "L2 cache": "2048K", "L3 cache": "300M"}}
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


def test_rounding_is_described_by_cpu_l2_cache_threads_and_kernels(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in machine.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    described = machine.describe_rounding(system)
    assert described == json.loads(json.dumps(described))
    assert described == {
        "CPU": ["Some CPU @ 2.70GHz"],
        "instruction sets": ["sse4_2", "avx", "avx2", "fma", "avx512f", "amx_tile"],
        "L2 cache": ["2048K"],
        "threads": ["3"],
        "GPUs": ["NVIDIA X1"],
        "environment": ["ONEDNN_MAX_CPU_ISA=AVX2"],
    }


@pytest.mark.parametrize(
    ("backend", "environment", "threads"),
    [
        ("tensorflow", {}, 5),
        ("tensorflow", {"TF_NUM_INTRAOP_THREADS": "3", "NPROC": "8"}, 3),
        ("tensorflow", {"TF_NUM_INTRAOP_THREADS": "0"}, 5),
        ("tensorflow", {"TF_NUM_INTRAOP_THREADS": "many"}, 5),
        ("jax", {"TF_NUM_INTRAOP_THREADS": "3"}, 5),
        ("jax", {"NPROC": "8"}, 8),
    ],
)
def test_threads_are_the_cores_or_those_of_the_backends_variable(
    backend: str, environment: dict[str, str], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TF_NUM_INTRAOP_THREADS", "NPROC", "PJRT_NPROC"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"KERAS_BACKEND": backend, **environment}.items():
        monkeypatch.setenv(name, value)
    assert machine.count_threads(5) == threads


def test_no_call_sets_the_threads_of_tensorflow(keras_ready: None) -> None:
    import tensorflow as tf

    assert tf.config.threading.get_intra_op_parallelism_threads() == 0


def test_changes_of_the_machine_are_listed_in_order() -> None:
    first: dict[str, Any] = {"CPU": ["A"], "instruction sets": ["avx", "amx"], "threads": ["2"]}
    second = first | {"instruction sets": ["avx"]}
    third = first | {"threads": ["4"]}
    assert machine.list_changes([]) == machine.list_changes([first]) == ""
    assert machine.list_changes([first, dict(first)]) == ""
    assert machine.list_changes([first, second]) == "instruction sets: amx, then none"
    assert machine.list_changes([first, third, second]) == (
        "instruction sets: amx, then amx, then none; threads: 2, then 4, then 2"
    )
