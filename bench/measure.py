"""Run a command; print its wall time and the peak memory of it and all its children.

Run:
    python -m bench.measure make reproduce

Memory is the sum of the processes' proportional set sizes (a page shared by n processes counts
1/n), sampled four times a second; where the system has none, of their resident set sizes.
"""

import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

import psutil
from typer import Argument

from fcn.cli import command_line

SAMPLE_SECONDS = 0.25


@dataclass(frozen=True)
class Measurement:
    """What one run of a command took."""

    code: int
    """Its exit code."""
    seconds: float
    peak_bytes: int

    def __str__(self) -> str:
        """Return wall time and peak memory in a line."""
        return f"{self.seconds:.1f} s, peak {self.peak_bytes / 2**30:.2f} GiB"


def measure(command: list[str], **options: Any) -> Measurement:
    """Run a command to its end; `options` are those of `subprocess.Popen`."""
    began, peak = time.monotonic(), 0
    with subprocess.Popen(command, **options) as child:
        root = psutil.Process(child.pid)
        while child.poll() is None:
            with suppress(psutil.NoSuchProcess):
                peak = max(peak, memory(root))
            time.sleep(SAMPLE_SECONDS)
    return Measurement(child.returncode, time.monotonic() - began, peak)


def memory(root: psutil.Process) -> int:
    """Return the bytes that a process and all below it hold."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        with suppress(psutil.Error):  # it may have ended meanwhile
            info = process.memory_full_info()
            total += getattr(info, "pss", info.rss)
    return total


def main(
    command: Annotated[list[str], Argument(help="The command with its own options.")],
) -> int:
    """Run the command, print the figures, return its exit code."""
    measurement = measure(command)
    print(f"{' '.join(command)}: {measurement}")
    return measurement.code


if __name__ == "__main__":
    command_line.run(main, options_end=True)
