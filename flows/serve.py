"""Serve the pages of Prefect and MLflow on this machine until Ctrl-C.

    python -m flows.serve [--prefect-port 4200] [--mlflow-port 5000]

Both listen on 127.0.0.1 only. Runs started with the two variables that this prints report there.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from fcn import door
from flows import tether

HOST = "127.0.0.1"
ROOT = Path(__file__).parents[1]
HEALTHY_SECONDS = 180.0
"""How long a server may take to answer; a first start prepares its database."""
NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""MLflow's jobs judge language models; the processes that wait for them double its start."""


def require_free(port: int, name: str) -> None:
    """Check that nobody listens on a port.

    Raises:
        ValueError: somebody does.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ValueError(
                f"port {port} for {name} cannot be used on {HOST} ({error.strerror}); end what "
                f"listens there, or choose another with --{name.lower()}-port"
            ) from None


def start(name: str, command: list[str], health: str) -> subprocess.Popen[bytes]:
    """Start a server and wait until the page `health` answers.

    Raises:
        ValueError: it ended, or did not answer in HEALTHY_SECONDS.
    """
    server = tether.start([sys.executable, "-m", *command], cwd=ROOT, env=NO_JOBS | os.environ)
    deadline = time.monotonic() + HEALTHY_SECONDS
    while not _healthy(health):
        if server.poll() is not None or time.monotonic() > deadline:
            server.terminate()
            raise ValueError(f"the {name} server did not start; its own message stands above")
        time.sleep(0.2)
    return server


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  our own address
            return bool(answer.status == 200)
    except OSError:
        return False


def serve(prefect_port: int, mlflow_port: int) -> None:
    """Run both servers until SIGINT or SIGTERM, or until one of them ends by itself.

    Raises:
        ValueError: a port is taken, or a server did not start or ended.
    """
    require_free(prefect_port, "Prefect")
    require_free(mlflow_port, "MLflow")
    prefect = ["prefect", "server", "start", "--host", HOST, "--port", str(prefect_port)]
    mlflow = ["mlflow", "server", "--host", HOST, "--port", str(mlflow_port), "--workers", "1"]
    store = ["--backend-store-uri", f"sqlite:///{ROOT / 'mlflow.db'}"]
    artifacts = ["--artifacts-destination", str(ROOT / "mlartifacts")]
    servers: list[subprocess.Popen[bytes]] = []
    try:
        api = f"http://{HOST}:{prefect_port}/api"
        servers.append(start("Prefect", prefect, f"{api}/health"))
        pages = f"http://{HOST}:{mlflow_port}"
        servers.append(start("MLflow", [*mlflow, *store, *artifacts], f"{pages}/health"))
        print(f"Prefect   http://{HOST}:{prefect_port}    export PREFECT_API_URL={api}")
        print(f"MLflow    {pages}    export MLFLOW_TRACKING_URI={pages}")
        print("Ctrl-C ends both.", flush=True)
        while all(server.poll() is None for server in servers):
            time.sleep(0.5)
        raise ValueError("a server ended by itself; its own message stands above")
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait()


def main() -> None:
    """Read the command line and serve; Ctrl-C and SIGTERM are the ordinary end."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.serve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--prefect-port", type=int, default=4200)
    parser.add_argument("--mlflow-port", type=int, default=5000)
    chosen = parser.parse_args()
    for ending in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores SIGINT
        signal.signal(ending, signal.default_int_handler)
    try:
        serve(chosen.prefect_port, chosen.mlflow_port)
    except KeyboardInterrupt:
        print("ended both servers")
    except ValueError as error:
        door.fail(str(error))


if __name__ == "__main__":
    main()
