"""The servers of `make serve`: how each is started, and when it is ready.

prefect, mlflow, worker = servers.all_three(Address("127.0.0.1", 4200, 5000))
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

from flows import running

ROOT = Path(__file__).parents[1]
NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""MLflow's jobs judge language models; the processes that wait for them double its start."""
POOL = "local"
"""The work pool of prefect.yaml: processes on this machine."""
USER = "admin"
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  compared


@dataclass(frozen=True)
class Address:
    """Where the servers listen."""

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
        """The address of Prefect's page, as seen from this machine."""
        return f"http://{self._here}:{self.prefect_port}"

    @property
    def mlflow(self) -> str:
        """The address of MLflow's page, as seen from this machine."""
        return f"http://{self._here}:{self.mlflow_port}"

    @property
    def seen(self) -> str:
        """The host's name, as seen from elsewhere."""
        return socket.getfqdn() if self.host in EVERYWHERE else self.host

    @property
    def _here(self) -> str:
        return "127.0.0.1" if self.host in EVERYWHERE else self.host


@dataclass(frozen=True)
class Server:
    """One server, or the worker."""

    name: str
    command: list[str]
    """What stands behind `python -m`."""
    env: Mapping[str, str]
    ready: Callable[[], object]
    """What it says once it does its work; before that, nothing."""
    prepare: Callable[[], object] = lambda: None
    """What must be done before each start. ConnectionError: not now."""


def all_three(address: Address, password: str | None) -> tuple[Server, Server, Server]:
    """Return Prefect, MLflow and the worker, in the order in which they start.

    Where the address is not loopback, `password` guards both pages.
    """
    assert address.loopback or password, "nobody listens to the world without a password"
    return (
        prefect(address, password),
        mlflow(address, password),
        worker(address, password),
    )


def prefect(address: Address, password: str | None) -> Server:
    """Prefect's server; SQLite, unless PREFECT_API_DATABASE_CONNECTION_URL says otherwise."""
    port = str(address.prefect_port)
    env = {
        **_home(),
        "PREFECT_UI_API_URL": f"http://{address.seen}:{port}/api",  # what a browser asks
        # Who holds a slot outlives a restart of the server; in memory, the run would be ended.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
            "prefect.server.concurrency.lease_storage.filesystem"
        ),
        **({"PREFECT_SERVER_API_AUTH_STRING": f"{USER}:{password}"} if password else {}),
    }
    start = ["prefect", "server", "start", "--host", address.host, "--port", port]
    return Server("Prefect", start, env, lambda: _answers(f"{address.prefect}/api/health"))


def mlflow(address: Address, password: str | None) -> Server:
    """MLflow's server; SQLite, unless MLFLOW_BACKEND_STORE_URI says otherwise."""
    start = ["mlflow", "server", "--host", address.host, "--port", str(address.mlflow_port)]
    start += ["--artifacts-destination", str(ROOT / "mlartifacts"), "--workers", "1"]
    # In the environment, where `ps` does not show a database's password.
    store = f"sqlite:///{ROOT / 'mlflow.db'}"
    env = NO_JOBS | {"MLFLOW_BACKEND_STORE_URI": os.environ.get("MLFLOW_BACKEND_STORE_URI", store)}
    if password:
        start += ["--app-name", "basic-auth"]
        env |= {
            "MLFLOW_AUTH_CONFIG_PATH": str(_auth()),
            "MLFLOW_AUTH_ADMIN_PASSWORD": password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": running.secret("key")[0],
        }
    return Server("MLflow", start, env, lambda: _answers(f"{address.mlflow}/health"))


def _auth() -> Path:
    """Write MLflow's settings for who may do what: nobody without a name sees anything."""
    path = running.FOLDER / "mlflow-users.ini"
    path.write_text(
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = sqlite:///{running.FOLDER / 'mlflow-users.db'}\n"
        f"admin_username = {USER}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
        "utf-8",
    )
    return path


def worker(address: Address, password: str | None) -> Server:
    """The worker: runs what is scheduled, in processes that end with it."""
    api = f"{address.prefect}/api"
    auth = f"{USER}:{password}" if password else ""
    env = {
        **_home(),
        "PREFECT_API_URL": api,
        "MLFLOW_TRACKING_URI": address.mlflow,
        # A deployment's command says `python`: it shall be the one that serves.
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
        pool = _answers(f"{api}/work_pools/{POOL}", auth)
        return bool(pool) and json.loads(pool)["status"] == "READY"

    def prepare() -> None:
        import httpx

        from flows import resume  # importing Prefect takes seconds: `--stop` does not wait for it

        try:
            resume.interrupted(api, POOL, auth or None)
        except httpx.HTTPError as error:
            raise ConnectionError(f"{api}: {error}") from error

    return Server("worker", start, env, ready, prepare)


def _home() -> dict[str, str]:
    """Prefect's database belongs to this workspace: others have deployments of the same names."""
    return {"PREFECT_HOME": os.environ.get("PREFECT_HOME", str(running.FOLDER / "prefect"))}


def _answers(url: str, auth: str = "") -> bytes:
    """Return what a page says, nothing if it is not there."""
    request = urllib.request.Request(url)  # noqa: S310  our own address
    if auth:
        word = base64.b64encode(auth.encode()).decode()
        request.add_header("Authorization", f"Basic {word}")
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
            return bytes(answer.read()) or b"ok"
    except OSError:
        return b""
