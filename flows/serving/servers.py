"""The servers of `make serve`: how each one starts, and how to see that it is ready.

    prefect, mlflow, worker = servers.define(Address("127.0.0.1", 4200, 5000), password=None)

The worker needs Prefect's server, and its runs need MLflow's.
"""

import base64
import ipaddress
import json
import os
import socket
import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.serving import state

ROOT = Path(__file__).parents[2]
NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""MLflow's jobs evaluate language models; their processes double its start-up time."""
POOL = "local"
"""The work pool of prefect.yaml: processes on this machine."""
USER = "admin"
ALL_INTERFACES = ("0.0.0.0", "::")  # noqa: S104  only compared


@dataclass(frozen=True)
class Address:
    """The host and ports on which the servers listen."""

    host: str
    prefect_port: int
    mlflow_port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach them."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def prefect(self) -> str:
        """The URL of Prefect's pages on this machine."""
        return f"http://{self._local_host}:{self.prefect_port}"

    @property
    def mlflow(self) -> str:
        """The URL of MLflow's pages on this machine."""
        return f"http://{self._local_host}:{self.mlflow_port}"

    @property
    def public_host(self) -> str:
        """The host's name for other machines."""
        return socket.getfqdn() if self.host in ALL_INTERFACES else self.host

    @property
    def _local_host(self) -> str:
        return "127.0.0.1" if self.host in ALL_INTERFACES else self.host


@dataclass(frozen=True)
class Server:
    """A server, or the worker."""

    name: str
    command: list[str]
    """The arguments of `python -m`."""
    env: Mapping[str, str]
    ready: Callable[[], object]
    """Returns something true once the server works."""
    prepare: Callable[[], object] = lambda: None
    """Called before each start; raises ConnectionError while the server cannot be started."""


def define(address: Address, password: str | None) -> tuple[Server, Server, Server]:
    """Return Prefect, MLflow and the worker, in the order in which they start.

    `password` protects both servers; it is required if the address is not loopback.
    """
    assert address.loopback or password, "an address beyond loopback needs a password"
    return (
        prefect(address, password),
        mlflow(address, password),
        worker(address, password),
    )


def prefect(address: Address, password: str | None) -> Server:
    """Prefect's server, on SQLite unless PREFECT_API_DATABASE_CONNECTION_URL is set."""
    port = str(address.prefect_port)
    env = {
        **_home(),
        "PREFECT_UI_API_URL": f"http://{address.public_host}:{port}/api",  # for the browser
        # Survives a restart of the server; with leases in memory, the restart would end the run.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
            "prefect.server.concurrency.lease_storage.filesystem"
        ),
        **({"PREFECT_SERVER_API_AUTH_STRING": f"{USER}:{password}"} if password else {}),
    }
    start = ["prefect", "server", "start", "--host", address.host, "--port", port]
    return Server("Prefect", start, env, lambda: _get(f"{address.prefect}/api/health"))


def mlflow(address: Address, password: str | None) -> Server:
    """MLflow's server, on SQLite unless MLFLOW_BACKEND_STORE_URI is set."""
    start = ["mlflow", "server", "--host", address.host, "--port", str(address.mlflow_port)]
    start += ["--artifacts-destination", str(ROOT / "mlartifacts"), "--workers", "1"]
    # In the environment, because `ps` would show a database's password among the arguments.
    store = f"sqlite:///{ROOT / 'mlflow.db'}"
    env = NO_JOBS | {"MLFLOW_BACKEND_STORE_URI": os.environ.get("MLFLOW_BACKEND_STORE_URI", store)}
    if password:
        start += ["--app-name", "basic-auth"]
        env |= {
            "MLFLOW_AUTH_CONFIG_PATH": str(_write_auth_config()),
            "MLFLOW_AUTH_ADMIN_PASSWORD": password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": state.secret("key")[0],
        }
    return Server("MLflow", start, env, lambda: _get(f"{address.mlflow}/health"))


def _write_auth_config() -> Path:
    """Write MLflow's settings for authentication: every request needs a user and a password."""
    path = state.FOLDER / "mlflow-users.ini"
    path.write_text(
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = sqlite:///{state.FOLDER / 'mlflow-users.db'}\n"
        f"admin_username = {USER}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
        "utf-8",
    )
    return path


def worker(address: Address, password: str | None) -> Server:
    """The worker, which runs deployments in processes that end with it."""
    api = f"{address.prefect}/api"
    auth = f"{USER}:{password}" if password else ""
    env = {
        **_home(),
        "PREFECT_API_URL": api,
        "MLFLOW_TRACKING_URI": address.mlflow,
        # Makes `python` in a deployment's command the one that runs the worker.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        **({"PREFECT_API_AUTH_STRING": auth} if password else {}),
        **(
            {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": password}
            if password
            else {}
        ),
    }
    start = ["prefect", "worker", "start", "--pool", POOL, "--type", "process", "--name", "serve"]

    def ready() -> bool:
        pool = _get(f"{api}/work_pools/{POOL}", auth)
        return bool(pool) and json.loads(pool)["status"] == "READY"

    def prepare() -> None:
        import httpx

        # Here, because importing Prefect takes seconds, for which `--stop` would have to wait.
        from flows.serving import resume

        try:
            resume.reschedule(api, POOL, auth or None)
        except httpx.HTTPError as error:
            raise ConnectionError(f"{api}: {error}") from error

    return Server("worker", start, env, ready, prepare)


def _home() -> dict[str, str]:
    """Give each workspace its own database: others have deployments of the same names."""
    return {"PREFECT_HOME": os.environ.get("PREFECT_HOME", str(state.FOLDER / "prefect"))}


def _get(url: str, auth: str = "") -> bytes:
    """Return the body of a page; empty if the page cannot be read."""
    request = urllib.request.Request(url)  # noqa: S310  our own server
    if auth:
        credentials = base64.b64encode(auth.encode()).decode()
        request.add_header("Authorization", f"Basic {credentials}")
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return bytes(response.read()) or b"ok"
    except OSError:
        return b""
