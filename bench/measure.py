"""Run a command; print its wall time and the peak memory of it and all its children.

Run:
    python -m bench.measure make reproduce

Memory is the sum of the processes' proportional set sizes (a page shared by n processes counts
1/n), sampled four times a second; where the system has none, of their resident set sizes.
"""

import subprocess
import time
from contextlib import suppress
from typing import Annotated

import psutil
from typer import Argument

from fcn.cli import command_line

SAMPLE_SECONDS = 0.25


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
    began, peak = time.monotonic(), 0
    with subprocess.Popen(command) as child:
        root = psutil.Process(child.pid)
        while child.poll() is None:
            with suppress(psutil.NoSuchProcess):
                peak = max(peak, memory(root))
            time.sleep(SAMPLE_SECONDS)
    seconds = time.monotonic() - began
    print(f"{' '.join(command)}: {seconds:.1f} s, peak {peak / 2**30:.2f} GiB")
    return child.returncode


if __name__ == "__main__":
    command_line.run(main, options_end=True)
