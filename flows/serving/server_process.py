"""Keeps one server running: starts it, waits until it is ready, starts it again."""

import os
import subprocess
import sys
import time

from fcn.runtime import processes
from flows.serving import servers, state

READY_SECONDS = 600.0
"""How long a server may take until it is ready; the first start prepares its database."""
MAX_STARTS, STARTS_SECONDS = 5, 600.0
"""A server is started at most so often within so many seconds."""


class ServerProcess:
    """One server, its process, its log and the times of its starts."""

    def __init__(self, server: servers.Server) -> None:
        """Start nothing yet; empty the log."""
        self.server = server
        self._log = state.FOLDER / f"{server.name.lower()}.log"
        self._log.write_bytes(b"")
        self._starts: list[float] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def ended(self) -> bool:
        """Whether the server does not run."""
        return self._process is None or self._process.poll() is not None

    def start(self) -> None:
        """Start the server, for the first time or again.

        If its `prepare` fails, it stays ended: a server that it needs must be started first.

        Raises:
            ValueError: it was started too often.
        """
        self._starts = [at for at in self._starts if at > time.monotonic() - STARTS_SECONDS]
        if len(self._starts) == MAX_STARTS:
            raise ValueError(f"{self.server.name} ended {MAX_STARTS} times{self._end_of_log()}")
        self._starts.append(time.monotonic())
        self.end()
        try:
            self.server.prepare()
        except ConnectionError:
            return
        with self._log.open("ab") as log:
            self._process = processes.start(
                [sys.executable, "-P", "-m", *self.server.command],
                cwd=servers.ROOT,
                env=os.environ | self.server.env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> bool:
        """Wait until the server is ready; False if it ended or took longer than READY_SECONDS."""
        deadline = time.monotonic() + READY_SECONDS
        while not self.server.ready():
            if self.ended or time.monotonic() > deadline:
                self.end()
                return False
            time.sleep(0.2)
        return True

    def require_ready(self) -> None:
        """Wait until the server is ready.

        Raises:
            ValueError: it ended, or was not ready after READY_SECONDS.
        """
        if not self.wait():
            raise ValueError(f"{self.server.name} did not start{self._end_of_log()}")

    def end(self) -> None:
        """End the server and everything that it started, within `processes.GRACE` seconds."""
        if self._process is not None:
            with self._process:  # closes the pipe last: closing it kills the server at once
                self._process.terminate()
                self._process.wait()
            self._process = None

    def _end_of_log(self) -> str:
        return f"; the end of {self._log}:\n{self._log.read_text(errors='replace')[-2000:]}"
