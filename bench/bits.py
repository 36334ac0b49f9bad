"""Hash the result of each operation of a training, to compare two machines or two settings.

Run on both, then compare; lines that differ are operations with other bits:
    python -m bench.bits > here.txt
    diff here.txt there.txt

A line holds the network whose sizes are used, the operation, its sizes (batch x height x width,
channels into -> out), the result (the output, or the gradient by an operand), the precision and the
start of the result's SHA-256. Lines that begin with # describe the machine. All operands are
multiples of 2^-23, with the same bits everywhere.

Settings of the libraries are environment variables, for example TF_NUM_INTRAOP_THREADS=1,
TF_ENABLE_ONEDNN_OPTS=0, ONEDNN_MAX_CPU_ISA=AVX2 or XLA_FLAGS=--xla_cpu_max_isa=AVX2; `taskset`
sets the cores. `python -m bench.other_cpu` runs this as if on another CPU.
"""

import hashlib
import os
import platform
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from typer import Option

from fcn.cli import command_line
from fcn.network.backend import use
from fcn.settings import reader

ENVIRONMENT = "ONEDNN_|DNNL_|TF_(ENABLE|NUM)|TENSORFLOW_|XLA_FLAGS|OTHER_CPU|GLIBC_TUNABLES"
"""The settings that change bits, as the beginnings of their names."""
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def main(
    network: Annotated[
        Literal["digits", "vgg", "both"], Option(help="Whose sizes are used.")
    ] = "both",
    only: Annotated[str, Option(help="Only operations whose line contains this text.")] = "",
    backend: Annotated[Literal["tensorflow", "jax"], Option(help="Of Keras.")] = "tensorflow",
    precision: Annotated[
        Literal["float32", "bfloat16"], Option(help="Of operands; training steps are float32.")
    ] = "float32",
    steps: Annotated[int, Option(min=0, help="Of each training; 0 trains nothing.")] = 20,
    portable: Annotated[bool, Option(help="As with `deterministic: portable`.")] = False,
) -> None:
    """Print the hashes."""
    machine = list(describe_machine())  # before the backend adds its own settings
    changed = {"backend": backend, "deterministic": "portable" if portable else True}
    use(reader.load("digits").common.model_copy(update=changed))
    from bench import operations
    from bench import steps as trainings

    versions = [f"{name} {import_module(name).__version__}" for name in ("keras", backend, "numpy")]
    print(*(f"# {line}" for line in (*machine, ", ".join(versions))), sep="\n", flush=True)
    for name in operations.NETWORKS if network == "both" else [network]:
        for operation in operations.NETWORKS[name]():
            if only in (line := f"{name}  {operation.name}"):
                report(line, precision, operations.differentiate(operation, precision))
    if network == "vgg":
        return
    if only in (line := "digits  Adam"):
        report(line, "float32", operations.adam())
    for model in trainings.MODELS if steps else ():
        if only in (line := f"digits  {steps} training steps, {model}"):
            report(line, "float32", trainings.train(model, steps))


def report(operation: str, precision: str, results: dict[str, Any]) -> None:
    """Print a line for each result."""
    for name, value in results.items():
        print(f"{operation}  {name}  {precision}  {digest(value)}", flush=True)


def digest(value: Any) -> str:
    """Return the start of the SHA-256 of an array's float32."""
    from keras import ops

    array = ops.convert_to_numpy(ops.cast(value, "float32"))
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:12]


def describe_machine() -> Iterator[str]:
    """Yield the CPU, its caches, the cores of this process, and the settings."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.*)", info.read_text() if info.exists() else "", re.M)
    yield f"CPU: {names[0] if names else platform.processor() or platform.machine()}"
    levels = [
        f"L{_line(each / 'level')} {_line(each / 'size')}"
        for each in sorted(CACHES.glob("index*"))
        if _line(each / "type") != "Instruction"
    ]
    yield f"caches: {', '.join(levels) or 'unknown'}"
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else [os.cpu_count()]
    yield f"cores: {len(cores)}"
    for name, value in sorted(os.environ.items()):
        if re.match(ENVIRONMENT, name):
            yield f"{name}={value}"


def _line(path: Path) -> str:
    return path.read_text("utf-8").strip()


if __name__ == "__main__":
    command_line.run(main)
