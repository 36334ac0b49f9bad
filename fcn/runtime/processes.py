"""Processes that end when the process that started them is gone, even after `kill -9`.

There are three ways, one for each kind of child:

* `start` runs any command under a supervisor, which ends the command's whole process group;
* `end_with_parent` is called by a command of this project, for starters that know nothing of
  this module, such as bare `dvc repro`;
* `end_with_pipe` is called by a worker process, whose pool can also end it by closing the pipe.

    python fcn/runtime/processes.py -- dvc repro --single-item train

is the supervisor. It imports only the standard library, because one is started for every stage.
It ends the process group

* when its stdin closes, because the starter is gone: with SIGKILL, at once;
* on SIGTERM: with SIGTERM, and with SIGKILL after GRACE seconds;
* when the command exits: whatever the command left running is killed.

Its exit code is the command's, or 128 + the number of the signal that ended the command.
"""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any, Protocol

GRACE = 4.0  # seconds between SIGTERM and SIGKILL
SHELLS = {"sh", "ash", "bash", "busybox", "dash", "fish", "ksh", "zsh"}
"""DVC runs a stage with the user's shell ($SHELL), or with sh."""

_ending = threading.Event()


def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start `command` under a supervisor; `options` are those of `Popen`.

    `terminate` ends it within GRACE seconds. Closing its `stdin` ends it at once, and
    `communicate` begins with that: read `stdout` instead. Ctrl-C at the terminal does not reach
    it: the caller decides what ends first.
    """
    supervisor = [sys.executable, "-IS", __file__, "--"]  # -IS: only the standard library
    return subprocess.Popen(
        [*supervisor, *command], stdin=subprocess.PIPE, start_new_session=True, **options
    )


def end_with_parent(seconds: float = 0.5) -> None:
    """Kill this process and its children when its parent is gone; look every `seconds`.

    Without this, `kill -9` of DVC leaves a training running that holds the GPU.
    """
    ancestors = [os.getpid(), *_ancestors()]

    def wait() -> None:
        while all(_parent(child) == parent for child, parent in pairwise(ancestors)):
            time.sleep(seconds)

    _kill_this_after(wait)


def end_without_parent() -> None:
    """Let this process end by itself, within GRACE seconds, when its parent is gone.

    Called when SIGTERM arrives, which a supervisor sends to the parent as well.
    """
    _ending.set()


class Readable(Protocol):
    """The reading end of a pipe, such as `multiprocessing.connection.Connection`."""

    def poll(self, timeout: float | None) -> bool:
        """Wait until there is something to read, or the other end is closed."""


def end_with_pipe(end: Readable) -> None:
    """Kill this process and its children when the other end of the pipe is closed."""
    _kill_this_after(lambda: end.poll(None))


def _kill_this_after(wait: Callable[[], object]) -> None:
    """Wait in a thread, then kill this process and its children."""

    def watch() -> None:
        import psutil  # here, because the supervisor has only the standard library

        wait()
        if _ending.is_set():
            time.sleep(GRACE)
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # the child has ended meanwhile
                child.kill()
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end-with-parent").start()


def _ancestors() -> list[int]:
    """Return the parent and, if the parent is DVC's shell for a stage, DVC.

    Some shells (dash) wait for their only command instead of becoming it, and outlive DVC.
    """
    import psutil

    ancestors = [os.getppid()]
    if "DVC_STAGE" in os.environ:
        with suppress(psutil.NoSuchProcess):  # gone already: the thread notices
            shell = psutil.Process(ancestors[0])
            if shell.name() in SHELLS:
                ancestors.append(shell.ppid())
    return ancestors


def _parent(pid: int) -> int | None:
    import psutil

    try:
        return int(psutil.Process(pid).ppid())
    except psutil.NoSuchProcess:
        return None


def _supervise(command: list[str]) -> int:
    """Run `command`, wait for the first reason to end its process group, return its exit code."""
    grace: queue.SimpleQueue[float] = queue.SimpleQueue()  # safe to use in a signal handler
    signal.signal(signal.SIGTERM, lambda *_: grace.put(GRACE))
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)

    def wait_for_starter() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        grace.put(0)

    def wait_for_command() -> None:
        child.wait()
        grace.put(0)

    threading.Thread(target=wait_for_starter, daemon=True).start()
    threading.Thread(target=wait_for_command, daemon=True).start()
    _end_group(child.pid, grace.get())
    code = child.wait()
    return code if code >= 0 else 128 - code


def _end_group(group: int, grace: float) -> None:
    """Send SIGTERM to a process group if there are seconds of `grace`, then SIGKILL."""
    deadline = time.monotonic() + grace
    with suppress(ProcessLookupError):  # the group is empty
        if grace:
            os.killpg(group, signal.SIGTERM)
        while time.monotonic() < deadline:
            time.sleep(0.05)
            os.killpg(group, 0)  # raises when the group is empty
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    assert sys.argv[1] == "--", f"usage: python {sys.argv[0]} -- COMMAND"
    sys.exit(_supervise(sys.argv[2:]))
