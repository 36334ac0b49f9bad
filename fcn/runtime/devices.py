"""One training per GPU: a second one waits and reports which training holds the GPU.

A training takes a file lock for each GPU that it will use, before its backend takes their memory.
Where there is no NVIDIA GPU, or `CUDA_VISIBLE_DEVICES` hides them all, nothing is locked, and
trainings run side by side.
"""

import atexit
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import takewhile
from pathlib import Path

from fcn.common import messages
from fcn.runtime import locks

DRIVER = Path("/dev")
"""Where NVIDIA's driver shows its GPUs: nvidia0, nvidia1, …"""
LOCKS = Path(tempfile.gettempdir()) / f"fcn-gpus-{os.getuid()}"
"""One folder per user: the locks separate the trainings of one user, not the users."""

_reserved = ExitStack()


def gpus(driver: Path = DRIVER) -> list[str]:
    """Return the GPUs that a backend would take, without asking one: asking takes their memory.

    `CUDA_VISIBLE_DEVICES` as it is written, up to the first -1; without it, all.
    """
    present = sorted(path.name.removeprefix("nvidia") for path in driver.glob("nvidia[0-9]*"))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None or not present:
        return present
    names = (name.strip() for name in visible.split(","))
    return sorted(set(takewhile(lambda name: name not in ("", "-1"), names)))


def reserve(name: str) -> None:
    """Hold this process's GPUs until it ends; call this before `backend.use`."""
    _reserved.enter_context(hold(name))
    atexit.register(_reserved.close)


@contextmanager
def hold(name: str) -> Iterator[None]:
    """Hold this process's GPUs in the name of `name`, a model's key; wait until they are free."""
    with ExitStack() as stack:
        for gpu in gpus():  # the same order in every process, so that no two wait for each other
            report = partial(_report, name, f"gpu-{gpu}")
            stack.enter_context(locks.hold(LOCKS / f"gpu-{gpu}", name, report))
        yield


def _report(name: str, gpu: str, holder: str) -> None:
    messages.say(f"{name}: waiting for {holder}, which holds {gpu}")
