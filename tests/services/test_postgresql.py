"""Both servers on a real PostgreSQL, and with a password."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from tests.services.conftest import Served, deploy, free_port, serve, shrunk
from tests.waiting import SECONDS, gone, wait_for

pytestmark = pytest.mark.services
PATH = os.pathsep.join([os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))])


def program(name: str) -> str:
    path = shutil.which(name, path=PATH)
    assert path, f"{name} is missing; `make test-services` says how to get it"
    return path


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """HOST:PORT of a PostgreSQL with two empty databases, prefect and mlflow."""
    # PostgreSQL refuses to run as root; its Debian package creates this user.
    user = "postgres" if os.geteuid() == 0 else None
    port = str(free_port())
    with tempfile.TemporaryDirectory(prefix="postgresql-") as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, user)
        options = {"cwd": folder, "user": user, "check": True, "capture_output": True}
        data = str(folder / "data")
        subprocess.run([program("initdb"), "-D", data, "-U", "fcn", "--auth=trust"], **options)
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [program("postgres"), "-D", data, "-h", "127.0.0.1", "-p", port, "-k", name],
                cwd=folder,
                user=user,
                stdout=log,
                stderr=log,
            )
        try:
            address = ["-h", "127.0.0.1", "-p", port, "-U", "fcn"]
            ready = [program("pg_isready"), *address]
            wait_for(lambda: subprocess.run(ready, capture_output=True).returncode == 0)
            for database in ("prefect", "mlflow"):
                subprocess.run([program("createdb"), *address, database], **options)
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


PROTECTED = """
from flows import serve
from fcn.cli import command_line
from flows.serving import servers
servers.Address.loopback = False  # as if it listened beyond loopback
command_line.run(serve.main)
"""


@pytest.fixture(scope="module")
def protected(
    database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Served, str]]:
    """A project on PostgreSQL whose servers ask for a password, and the database's HOST:PORT."""
    project = shrunk(tmp_path_factory.mktemp("protected") / "project")
    served = serve(
        project,
        *("-c", PROTECTED),
        PREFECT_API_DATABASE_CONNECTION_URL=f"postgresql+asyncpg://fcn@{database}/prefect",
        MLFLOW_BACKEND_STORE_URI=f"postgresql://fcn@{database}/mlflow",
    )
    try:
        yield served, database
    finally:
        family = psutil.Process(served.serving.pid).children(recursive=True)
        served.serving.send_signal(signal.SIGINT)
        assert served.serving.wait() == 0
        assert gone(*family)


def test_both_servers_store_a_run_in_postgresql(protected: tuple[Served, str]) -> None:
    served, database = protected
    deploy(served)
    done = served.ended(served.run(targets=["download"]))
    assert done.state_name == "Completed", done.state
    assert rows(database, "prefect", "flow_run") > 0
    assert rows(database, "mlflow", "runs") == 1  # the parent run
    assert not (served.project.root / "mlflow.db").exists()
    assert not list((served.project.root / ".prefect").glob("*.db"))


def test_both_servers_ask_for_the_password(
    protected: tuple[Served, str],
) -> None:
    served, _ = protected
    assert served.auth is not None
    assert served.auth in (served.project.root / "serve.log").read_text().replace(
        "Password  ", "admin:"
    )
    user, password = served.auth.split(":")
    for page, method in (
        (f"{served.api}/flow_runs/count", "post"),
        (f"{served.mlflow}/api/2.0/mlflow/experiments/get?experiment_id=0", "get"),
    ):
        for auth, status in ((None, 401), ((user, "guess"), 401), ((user, password), 200)):
            answer = requests.request(method, page, json={}, auth=auth, timeout=SECONDS)
            assert answer.status_code == status, (page, auth is None, answer.text)


def rows(database: str, name: str, table: str) -> int:
    host, port = database.split(":")
    address = ["-h", host, "-p", port, "-U", "fcn", "-d", name]
    query = ["-tA", "-c", f"select count(*) from {table}"]
    done = subprocess.run(
        [program("psql"), *address, *query], check=True, capture_output=True, text=True
    )
    return int(done.stdout)
