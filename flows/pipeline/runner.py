"""Runs `dvc`, one stage per call, in processes that end with the flow.

    with Runner(slots=2) as runner:
        ran = runner.reproduce("train@digits-fcn16s", log=print, timeout=3600)

Several threads may call `reproduce` at once. Each call is a `dvc repro --single-item`, and the
caller decides the order of the stages. Without that flag, two calls would both run the stages
upstream, and DVC refuses the second. No other module runs `dvc`.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from fcn.runtime import processes
from flows.pipeline import output
from flows.pipeline.graph import Source
from flows.pipeline.semaphore import PrioritySemaphore


class StageFailed(RuntimeError):
    """A stage failed; the message is the stage's own."""


class Interrupted(StageFailed):
    """A stage failed for a reason that may pass: a network error, a kill, the time-out."""


class Cancelled(RuntimeError):
    """The runner was closed before the stage ended."""


class Runner:
    """Runs at most `slots` stages at once; leaving its `with` block ends those that still run."""

    def __init__(
        self,
        slots: int = 1,
        env: Mapping[str, str] | None = None,
        dependencies: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            slots: how many stages may run at once.
            env: additional environment variables of the stages.
            dependencies: of the stages that may run; they decide which goes first
                (`flows.pipeline.semaphore`).

        Raises:
            ValueError: less than one slot.
        """
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self._env = {
            **os.environ,
            "DVC_NO_ANALYTICS": "1",
            "PATH": path,  # makes `python` in dvc.yaml the one that runs the flow
            "PYTHONUNBUFFERED": "1",  # lines arrive when they are written
            **(env or {}),
        }
        self._semaphore = PrioritySemaphore(slots, dependencies)
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        """Return the runner."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all running stages within `processes.GRACE` seconds; refuse to start others."""
        with self._lock:
            self._closed.set()
            running = list(self._running)
        for process in running:
            process.terminate()
        for process in running:
            process.wait()

    def reproduce(
        self,
        stage: str,
        log: Callable[[str], None],
        timeout: float | None = None,
        force: bool = False,
    ) -> bool:
        """Let DVC run one stage, once a slot is free.

        Args:
            stage: its full name.
            log: called with each line of output as it is written.
            timeout: seconds after which the stage is ended; waiting for a slot does not count.
            force: run it also if nothing changed.

        Returns:
            Whether the stage ran; False if DVC found it unchanged or in its run cache.

        Raises:
            Interrupted: by the network, a kill or the time-out; a retry may succeed.
            StageFailed: with the stage's own message.
            Cancelled: the runner was closed meanwhile.
        """
        repro = ["repro", "--single-item", *["--force"][:force], stage]
        return not self._run(repro, stage, log, timeout).skipped

    def push(self, log: Callable[[str], None]) -> None:
        """Upload what the lock files name to the default remote, unless it is there already.

        Raises:
            StageFailed: with DVC's own message, such as that there is no remote.
            Cancelled: the runner was closed meanwhile.
        """
        self._run(["push"], "push", log)

    def pull(self, log: Callable[[str], None]) -> None:
        """Download what the lock files name from the default remote; raises as `push` does."""
        self._run(["pull"], "pull", log)

    def update_source(self, source: Source, log: Callable[[str], None]) -> None:
        """Import a source again, or add it again.

        Raises:
            Interrupted: the source of an import cannot be reached, or DVC was killed.
            StageFailed: DVC refuses it.
            Cancelled: the runner was closed meanwhile.
        """
        command = ["update" if source.imported else "add", source.target]
        try:
            self._run(command, source.target, log)
        except StageFailed as error:  # DVC's exit code is the same for every reason
            raise (Interrupted if source.imported else StageFailed)(*error.args) from None

    def pause(self, seconds: float) -> None:
        """Wait before a retry.

        Raises:
            Cancelled: the runner was closed meanwhile.
        """
        if self._closed.wait(seconds):
            raise Cancelled("cancelled before a retry")

    def _run(
        self,
        command: Sequence[str],
        name: str,
        log: Callable[[str], None],
        timeout: float | None = None,
    ) -> output.StageOutput:
        with (
            self._semaphore.slot(name, lambda: log("waiting for a free slot")),
            self._start(command, name) as process,
        ):
            deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
            stage_output = output.StageOutput(name)
            for line in output.lines(output.read(process, deadline)):
                log(line)
                stage_output.add(line)
            code = process.wait()
        if code and self._closed.is_set():
            raise Cancelled(f"{name}: cancelled")
        if code and time.monotonic() > deadline:
            raise Interrupted(f"ended after {timeout} s, the meta.timeout of dvc.yaml")
        if code:
            temporary = _is_temporary(code) or _is_temporary(stage_output.code)
            raise (Interrupted if temporary else StageFailed)(stage_output.error())
        return stage_output

    @contextmanager
    def _start(self, command: Sequence[str], name: str) -> Iterator[subprocess.Popen[bytes]]:
        dvc = [sys.executable, "-P", "-m", "dvc"]  # -P: no file of the current folder shadows it
        with self._lock:
            if self._closed.is_set():
                raise Cancelled(f"{name}: cancelled before it started")
            process = processes.start(
                [*dvc, "--wait-for-lock", *command],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                env=self._env,
            )
            self._running.add(process)
        try:
            with process:  # an exception closes the pipes, and the supervisor ends the stage
                yield process
        finally:
            with self._lock:
                self._running.remove(process)


def _is_temporary(code: int) -> bool:
    """Whether an exit code means that a signal ended the stage, or that a retry may succeed."""
    return code == os.EX_TEMPFAIL or code < 0 or code - 128 in signal.valid_signals()
