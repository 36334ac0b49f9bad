"""Serve Prefect, MLflow and a worker on this machine until Ctrl-C or `make stop`.

    python -m flows.serve [--prefect-port 4200] [--mlflow-port 5000] [--host 127.0.0.1]
    python -m flows.serve --deploy          # puts prefect.yaml's deployments there
    python -m flows.serve --stop

One that ends by itself is started again. What they say stands in .serve/*.log. On another address
than this machine's own (`--host 0.0.0.0`), both pages ask for a password.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack

import psutil

from fcn.common import messages
from flows import running, servers, tether

READY_SECONDS = 180.0
"""How long a server may take to answer; a first start prepares its database."""
STARTS, STARTS_SECONDS = 5, 600.0
"""A server that ended so often within so many seconds will not come right by itself."""


class Serving:
    """A server that runs, and how often it was started."""

    def __init__(self, server: servers.Server) -> None:
        """Start nothing yet."""
        self.server = server
        self._log = running.FOLDER / f"{server.name.lower()}.log"
        self._log.write_bytes(b"")
        self._starts: list[float] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def ended(self) -> bool:
        """Whether it ended by itself."""
        return self._process is None or self._process.poll() is not None

    def start(self) -> None:
        """Start it, for the first time or again.

        Raises:
            ValueError: it was started too often.
        """
        self._starts = [at for at in self._starts if at > time.monotonic() - STARTS_SECONDS]
        if len(self._starts) == STARTS:
            raise ValueError(f"{self.server.name} ended {STARTS} times{self._last_words()}")
        self._starts.append(time.monotonic())
        self.end()
        try:
            self.server.prepare()
        except ConnectionError:  # what it needs has just ended, and is started again before it
            return
        with self._log.open("ab") as log:
            self._process = tether.start(
                [sys.executable, "-P", "-m", *self.server.command],
                cwd=servers.ROOT,
                env=os.environ | self.server.env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> bool:
        """Wait until it is ready; return whether it is, or has ended or taken too long."""
        deadline = time.monotonic() + READY_SECONDS
        while not self.server.ready():
            if self.ended or time.monotonic() > deadline:
                self.end()
                return False
            time.sleep(0.2)
        return True

    def require_ready(self) -> None:
        """Wait until it is ready.

        Raises:
            ValueError: it ended, or was not ready in READY_SECONDS.
        """
        if not self.wait():
            raise ValueError(f"{self.server.name} did not start{self._last_words()}")

    def end(self) -> None:
        """End it with all that it started, within tether.GRACE seconds."""
        if self._process is not None:
            with self._process:  # closes its pipe, in the end: that would kill it at once
                self._process.terminate()
                self._process.wait()
            self._process = None

    def _last_words(self) -> str:
        return f"; the end of {self._log}:\n{self._log.read_text(errors='replace')[-2000:]}"


def require_free(host: str, port: int, name: str) -> None:
    """Check that a port can be listened on.

    Raises:
        ValueError: it cannot; the message says who listens there, where that can be known.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ValueError(
                f"port {port} for {name} cannot be used on {host} ({error.strerror})"
                f"{_listener(port)}\n  next step: end what listens there, or choose another port: "
                f"python -m flows.serve --{name.lower()}-port {port + 1}"
            ) from None


def _listener(port: int) -> str:
    """Return who listens on a port; nothing where the system does not tell."""
    try:
        found = psutil.net_connections("tcp")
        (pid,) = {
            one.pid
            for one in found
            if one.status == psutil.CONN_LISTEN and one.laddr.port == port and one.pid
        }
        return f"; process {pid} listens there: {' '.join(psutil.Process(pid).cmdline())[:200]}"
    except (psutil.Error, ValueError):
        return ""


def serve(address: servers.Address) -> None:
    """Run all three until SIGINT or SIGTERM; start again whichever ends by itself.

    Raises:
        ValueError: a port is taken, this workspace is served already, or a server does not start.
    """
    require_free(address.host, address.prefect_port, "Prefect")
    require_free(address.host, address.mlflow_port, "MLflow")
    with ExitStack() as stack:
        stack.enter_context(
            running.claim(f"{address.prefect} and {address.mlflow}", f"{address.prefect}/api")
        )
        password, new = (None, False) if address.loopback else running.secret("password")
        all_of_them = [Serving(server) for server in servers.all_three(address, password)]
        for serving in all_of_them:
            stack.callback(serving.end)  # the worker first, the servers that it needs after it
        *two, worker = all_of_them
        for serving in two:
            serving.start()
        for serving in two:
            serving.require_ready()
        worker.start()
        worker.require_ready()
        if new:
            print(f"Password  {password} of the user {servers.USER}, told this once")
        print(f"Prefect   {address.prefect}    export PREFECT_API_URL={address.prefect}/api")
        print(f"MLflow    {address.mlflow}    export MLFLOW_TRACKING_URI={address.mlflow}")
        print(f"Worker    of the pool {servers.POOL}    next step, once: make deploy")
        print("Ctrl-C or `make stop` ends all three.", flush=True)
        while True:
            for serving in all_of_them:
                if serving.ended:
                    print(f"{serving.server.name} ended by itself; starting it again", flush=True)
                    serving.start()
                    if not serving.wait():
                        break  # from the first on: what follows may need it
            time.sleep(0.5)


def deploy() -> int:
    """Put what prefect.yaml deploys on the server of this workspace; return the exit code.

    Raises:
        ValueError: nobody serves it.
    """
    env = os.environ | {"PREFECT_API_URL": running.api()}
    if (running.FOLDER / "password").is_file():  # a server that needs none does not look at it
        env["PREFECT_API_AUTH_STRING"] = f"{servers.USER}:{running.secret('password')[0]}"
    command = [sys.executable, "-P", "-m", "prefect", "--no-prompt", "deploy", "--all"]
    return subprocess.run(command, cwd=servers.ROOT, env=env, check=False).returncode


def main() -> None:
    """Read the command line and serve; Ctrl-C and SIGTERM are the ordinary end."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.serve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    parser.add_argument("--prefect-port", type=int, default=4200)
    parser.add_argument("--mlflow-port", type=int, default=5000)
    parser.add_argument("--deploy", action="store_true", help="put the deployments there")
    parser.add_argument("--stop", action="store_true", help="end what serves this workspace")
    chosen = parser.parse_args()
    if chosen.stop:
        print(running.stop())
        return
    for ending in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores SIGINT
        signal.signal(ending, signal.default_int_handler)
    try:
        if chosen.deploy:
            sys.exit(deploy())
        serve(servers.Address(chosen.host, chosen.prefect_port, chosen.mlflow_port))
    except KeyboardInterrupt:
        print("ended all three")
    except ValueError as error:
        messages.fail(str(error))


if __name__ == "__main__":
    main()
