"""The machine and the software that made a table: they decide the bits of a training.

It contains neither a time nor the name of the machine: the same machine writes the same bytes.
"""

import os
import platform
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


def describe(system: Path = Path("/")) -> dict[str, Any]:
    """Return the machine's properties as JSON values; what cannot be found out is empty.

    Args:
        system: the root of the file system: `proc` and `sys` are those of Linux.
    """
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
        "versions": {"python": platform.python_version()} | _find_versions(),
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
