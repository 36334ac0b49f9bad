"""A Prefect server that runs as long as one command, if no other server is configured.

    temporary_server.start_if_none()

Prefect can start such a server itself, but Ctrl-C ends that server before the flow, which then
tries to report to it for more than a minute. It also keeps running when the flow is killed.
"""

import atexit
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from prefect.context import refresh_global_settings_context
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
)

from fcn.runtime import processes

_started: list[str] = []


def in_use() -> bool:
    """Return whether this process uses a server that it started itself."""
    return PREFECT_API_URL.value() in _started


def start_if_none(meanwhile: Callable[[], object] = lambda: None) -> None:
    """Start a server and use it, unless PREFECT_API_URL or the profile names another.

    Args:
        meanwhile: called while the server starts, which takes seconds.

    Raises:
        RuntimeError: the server does not start; the message ends with its output.
    """
    if PREFECT_API_URL.value():
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host, port = probe.getsockname()
    prefect = [sys.executable, "-P", "-m", "prefect"]
    options = ["--host", host, "--port", str(port), "--no-scheduler", "--no-late-runs"]
    with tempfile.TemporaryFile() as log:
        server = processes.start(
            [*prefect, "server", "start", *options], stdout=log, stderr=subprocess.STDOUT
        )
        atexit.register(_stop, server)  # after Prefect's handlers, which send the log
        meanwhile()
        deadline = time.monotonic() + PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value()
        while not _is_listening(host, port):
            if server.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                text = log.read().decode(errors="replace")
                raise RuntimeError(f"the temporary Prefect server did not start:\n{text[-2000:]}")
            time.sleep(0.1)
    _started.append(f"http://{host}:{port}/api")
    os.environ["PREFECT_API_URL"] = _started[-1]
    refresh_global_settings_context()


def _is_listening(host: str, port: int) -> bool:
    """Whether the server accepts connections, which it does once its database is ready."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _stop(server: subprocess.Popen[bytes]) -> None:
    with server:
        server.terminate()
