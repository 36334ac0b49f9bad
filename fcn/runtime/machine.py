"""The machine and its software, which decide the bits of a training; for tables and checkpoints.

A description has neither a time nor the name of the machine: the same machine writes the same
bytes.
"""

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

INSTRUCTION_SETS = (
    *("sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni"),
    *("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_bf16", "amx_int8"),
    *("asimd", "asimddp", "bf16", "i8mm", "sve", "sve2"),
)
"""Those for which oneDNN, Eigen or XLA have kernels of their own, as Linux names them."""
PACKAGES = (
    *("tensorflow", "tensorflow-cpu", "jax", "jaxlib", "keras", "numpy", "scipy", "grain"),
    *("opencv-python-headless", "pillow"),
)
"""Packages that compute: versions of them may round differently."""
VARIABLES = (
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "TF_ENABLE_ONEDNN_OPTS", "OMP_NUM_THREADS"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "XLA_FLAGS"),
)
"""Environment variables that choose kernels or divide the work among threads."""
KERNELS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS")
"""Those of them that choose kernels."""
THREADS = {"tensorflow": ("TF_NUM_INTRAOP_THREADS",), "jax": ("PJRT_NPROC", "NPROC")}
"""Environment variables with the number of threads of an operation, by backend."""


def describe(system: Path = Path("/")) -> dict[str, Any]:
    """Return the machine's properties as JSON values; what cannot be found out is empty.

    Args:
        system: the root of the file system: `proc` and `sys` are those of Linux.
    """
    versions = {"python": platform.python_version()} | _find_versions()
    return _describe_hardware(system) | {"versions": versions}


def describe_rounding(system: Path = Path("/")) -> dict[str, list[str]]:
    """Return what decides, besides versions, how sums are divided and rounded, as JSON values.

    See docs/training.md, "Determinism". Caches other than L2 change nothing where oneDNN computes.

    Args:
        system: as for `describe`.
    """
    machine = _describe_hardware(system)
    environment: dict[str, str] = machine["environment"]
    return {
        "CPU": [machine["cpu"]],
        "instruction sets": machine["instruction_sets"],
        "L2 cache": [machine["caches"].get("L2 cache", "unknown")],
        "threads": [str(count_threads(machine["cores"]))],
        "GPUs": machine["gpus"],
        "environment": [f"{name}={environment[name]}" for name in KERNELS if name in environment],
    }


def count_threads(cores: int) -> int:
    """Return the number of threads over which the backend divides one operation.

    That is the number of cores that the process may use, or the value of the variable that the
    backend reads: TensorFlow's thread pools are never sized by a function call here.
    """
    for name in THREADS.get(os.environ.get("KERAS_BACKEND", "tensorflow"), ()):
        if (value := os.environ.get(name, "")).isdecimal() and int(value):
            return int(value)
    return cores


def list_changes(machines: Sequence[Mapping[str, Sequence[str]]]) -> str:
    """Return what differs between machines in their order; nothing for equal ones, or for one.

    Args:
        machines: from `describe_rounding`.
    """
    changes = []
    for name in dict.fromkeys(name for machine in machines for name in machine):
        values = [machine.get(name, []) for machine in machines]
        shared = set(values[0]).intersection(*values)
        # Of lists that differ in a few members, those members.
        own = [", ".join(v for v in value if v not in shared) or "none" for value in values]
        if len(set(own)) > 1:
            changes.append(f"{name}: {', then '.join(own)}")
    return "; ".join(changes)


def _describe_hardware(system: Path) -> dict[str, Any]:
    """Return what `describe` does but the versions; those take longer to find."""
    processor = _read_processor(system / "proc/cpuinfo")
    flags = (processor.get("flags") or processor.get("Features") or "").split()
    usable = getattr(os, "sched_getaffinity", None)
    return {
        "cpu": processor.get("model name") or platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "instruction_sets": [name for name in INSTRUCTION_SETS if name in flags],
        "caches": _read_caches(system / "sys/devices/system/cpu/cpu0/cache"),
        "cores": len(usable(0)) if usable else os.cpu_count() or 1,
        "gpus": _read_gpus(system / "proc/driver/nvidia/gpus"),
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def _read_processor(path: Path) -> dict[str, str]:
    """Return what Linux says about the first core."""
    text = path.read_text("utf-8") if path.is_file() else ""
    pairs = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _read_caches(folder: Path) -> dict[str, str]:
    """Return the size of each data cache of the first core: libraries choose blocks by it."""
    sizes = {}
    for cache in sorted(folder.glob("index*")):
        names = ("level", "type", "size")
        level, kind, size = ((cache / name).read_text("utf-8").strip() for name in names)
        if kind != "Instruction":
            sizes[f"L{level} cache"] = size
    return sizes


def _read_gpus(folder: Path) -> list[str]:
    """Return the model of each GPU that NVIDIA's driver shows."""
    models = []
    for path in sorted(folder.glob("*/information")):
        lines = (line.partition(":") for line in path.read_text("utf-8").splitlines())
        models += [value.strip() for name, _, value in lines if name == "Model"]
    return models


def _find_versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
