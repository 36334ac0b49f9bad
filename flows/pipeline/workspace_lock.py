"""One flow at a time in one workspace, with or without a Prefect server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fcn.runtime import locks

LOCK = Path(".dvc/tmp/flow.lock")


@contextmanager
def hold(name: str, log: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of the workspace in the current folder; wait for it, and log who holds it."""

    def report(holder: str) -> None:
        log(f"waiting for {holder}, which runs in this workspace")

    with locks.hold(LOCK, name, report):
        yield
