"""Python's garbage collector, paused while many objects are made of which none is garbage.

Importing Keras and MLflow and tracing the first step of a training make millions; collecting
meanwhile takes a sixth of the time until the first step. Reading DVC's graph makes a million.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def pause() -> None:
    """Collect nothing until `resume`."""
    gc.disable()


def resume() -> None:
    """Collect again, but never look at what exists now: it stays until the process ends."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


@contextmanager
def paused() -> Iterator[None]:
    """Collect nothing inside the `with` block, and afterwards as before."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
