"""Work mapped over jobs: in processes of this machine, or on a Dask cluster.

`each(function, jobs, count)` gives the results in the order of the jobs, wherever they were made.
The function and the jobs must be picklable; what they raise is raised here as it is.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import cv2

SCHEDULER = "DASK_SCHEDULER_ADDRESS"
"""The variable with the address of a Dask scheduler, `tcp://HOST:PORT`. Its workers have this
repository's code and see the same files under the same paths."""
PATIENCE_SECONDS = 10
"""For the scheduler to answer."""
LOST = (
    "a worker process was ended from outside, perhaps because memory ran out; free some memory or "
    "lower `workers:` in params.yaml, and run again"
)

J = TypeVar("J")
R = TypeVar("R")


def each(function: Callable[[J], R], jobs: Iterable[J], count: int) -> Iterator[R]:
    """Yield `function(job)` for each job, in the order of the jobs.

    `count` processes work on them, one per core if it is 0; one alone is this process itself. When
    an error is raised, or the iterator is closed, no job is left running.

    Raises:
        ValueError: a worker was killed, or the Dask cluster cannot be used.
    """
    jobs = list(jobs)
    if address := os.environ.get(SCHEDULER):
        return _on_dask(address, function, jobs)
    count = min(count or cores(), len(jobs))
    return map(function, jobs) if count <= 1 else _in_processes(function, jobs, count)


def cores() -> int:
    """Return how many cores this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


def _in_processes(function: Callable[[J], R], jobs: list[J], count: int) -> Iterator[R]:
    # Not `fork`: this process may have threads. Not `spawn`: the server imports once for all.
    context = get_context("forkserver")
    context.set_forkserver_preload([function.__module__])
    end, held = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(count, context, initializer=_begin, initargs=(end,))
    try:
        yield from pool.map(function, jobs)
        pool.shutdown()
    except BrokenProcessPool:
        raise ValueError(LOST) from None
    finally:
        held.close()
        pool.shutdown(cancel_futures=True)
        end.close()


def _begin(end: Connection) -> None:
    """Prepare a worker: it ends when the other end of the pipe is closed, by whatever death."""

    def watch() -> None:
        end.poll(None)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end-with-parent").start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    cv2.setNumThreads(1)  # the cores are busy with the other workers


def _on_dask(address: str, function: Callable[[J], R], jobs: list[J]) -> Iterator[R]:
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise ValueError(
            f"{SCHEDULER} is set, but Dask is not installed; install it "
            "(`uv sync --inexact --extra dask`) or unset the variable"
        ) from None
    try:
        client = distributed.Client(address, timeout=PATIENCE_SECONDS)
    except OSError as error:
        raise ValueError(
            f"{SCHEDULER}={address}: {error}; start the scheduler or unset it"
        ) from None
    with client:
        running: deque[Any] = deque()
        try:
            for job in jobs:
                running.append(client.submit(function, job, pure=False))
                if len(running) > 2 * sum(client.nthreads().values()):
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        except distributed.KilledWorker:
            raise ValueError(LOST) from None
        finally:
            # Dask cannot stop a job that has begun, and its files are about to be removed.
            distributed.wait(list(running))
