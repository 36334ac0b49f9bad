"""Run a command that cannot outlive whoever started it.

    python -m flows.tether -- dvc repro --single-item train

Whoever starts this, best with `start`, keeps a pipe to its stdin. The command runs in a process
group of its own, and the whole group ends

* when the pipe closes, which is what remains of a starter ended by `kill -9`: killed at once;
* on SIGTERM: asked with SIGTERM, and killed after GRACE seconds;
* when the command itself ends: what it left behind is killed.

The exit code is the command's, or 128 + the number of the signal that ended it.
Only the standard library is imported: one of these is started for every stage.
"""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from typing import Any

GRACE = 4.0  # seconds between SIGTERM and SIGKILL


def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start `command` so that it ends with this process; the options are those of `Popen`.

    Calling `terminate` ends it within GRACE seconds. Closing its `stdin` ends it at once, and with
    that `communicate` begins: read `stdout` instead. Ctrl-C at the terminal does not reach it: the
    caller decides what ends first.
    """
    tether = [sys.executable, "-IS", __file__, "--"]  # -IS: nothing but the standard library
    return subprocess.Popen(
        [*tether, *command], stdin=subprocess.PIPE, start_new_session=True, **options
    )


def main(command: list[str]) -> int:
    """Run `command`, wait for the first reason to end its process group, return its exit code."""
    grace: queue.SimpleQueue[float] = queue.SimpleQueue()  # safe to use in a signal handler
    signal.signal(signal.SIGTERM, lambda *_: grace.put(GRACE))
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)

    def when_starter_is_gone() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        grace.put(0)

    def when_command_has_ended() -> None:
        child.wait()
        grace.put(0)

    threading.Thread(target=when_starter_is_gone, daemon=True).start()
    threading.Thread(target=when_command_has_ended, daemon=True).start()
    end_group(child.pid, grace.get())
    code = child.wait()
    return code if code >= 0 else 128 - code


def end_group(group: int, grace: float) -> None:
    """End every process of a group: ask if there are seconds of `grace`, then kill."""
    deadline = time.monotonic() + grace
    try:
        if grace:
            os.killpg(group, signal.SIGTERM)
        while time.monotonic() < deadline:
            time.sleep(0.05)
            os.killpg(group, 0)  # is anyone left?
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass  # the group is empty


if __name__ == "__main__":
    assert sys.argv[1] == "--", "usage: python -m flows.tether -- COMMAND"
    sys.exit(main(sys.argv[2:]))
