"""Map a function over jobs, in processes of this machine or on a Dask cluster.

`each(function, jobs, count)` yields the results in the order of the jobs. The function and the
jobs must be picklable; an exception in a job is raised here unchanged.
"""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import cv2

from fcn.runtime import processes

SCHEDULER = "DASK_SCHEDULER_ADDRESS"
"""Environment variable with the address of a Dask scheduler, `tcp://HOST:PORT`. Its workers need
this repository's code and the same files under the same paths."""
CONNECT_SECONDS = 10
"""How long the scheduler may take to answer."""
LOST = (
    "a worker process was killed, perhaps because memory ran out; free memory or lower `workers:` "
    "in params.yaml, and run again"
)

J = TypeVar("J")
R = TypeVar("R")


def each(function: Callable[[J], R], jobs: Iterable[J], count: int) -> Iterator[R]:
    """Yield `function(job)` for each job, in the order of the jobs.

    `count` processes share the jobs: one per core if it is 0, this process itself if it is 1.
    When a job raises, or the iterator is closed, no job is left running.

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
    # Not `fork`: this process may have threads. Not `spawn`: the fork server imports only once.
    context = get_context("forkserver")
    context.set_forkserver_preload([function.__module__])
    _start_fork_server()
    workers_end, own_end = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(count, context, initializer=_initialize, initargs=(workers_end,))
    try:
        yield from pool.map(function, jobs)
        pool.shutdown()
    except BrokenProcessPool:
        raise ValueError(LOST) from None
    finally:
        own_end.close()  # kills the workers that are still busy
        pool.shutdown(cancel_futures=True)
        workers_end.close()


def _start_fork_server() -> None:
    """Start the fork server, if it does not run yet, with Ctrl-C blocked in it and its workers.

    The terminal sends Ctrl-C to all of them; only this process handles it. It also waits here, so
    it is not lost.
    """
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def _initialize(end: Connection) -> None:
    """Prepare a worker process."""
    processes.end_with_pipe(end)
    cv2.setNumThreads(1)  # the other workers use the other cores


def _on_dask(address: str, function: Callable[[J], R], jobs: list[J]) -> Iterator[R]:
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise ValueError(
            f"{SCHEDULER} is set, but Dask is not installed; install it "
            "(`uv sync --inexact --extra dask`) or unset the variable"
        ) from None
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS)
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
            # Dask cannot stop a running job, whose files the caller may remove next.
            distributed.wait(list(running))
