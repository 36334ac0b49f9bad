"""A small project with real servers, a real worker and real deployments."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

from tests.pipeline.conftest import Project, copy
from tests.waiting import gone, wait_for

KEY = "digits-vgg16"
"""The model that the tests train."""
EPOCHS = 20
"""Of the backbone's classifier, with small batches: far more than pass before the last kill of a
test."""
NO_DELAY = {"PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1"}
"""How soon a run that waits for the concurrency limit asks again; Prefect's default is 30."""


@dataclass(frozen=True)
class Served:
    """A project with its servers."""

    project: Project
    serving: subprocess.Popen[bytes]
    api: str
    mlflow: str
    auth: str | None = None

    def client(self) -> SyncPrefectClient:
        """A client of the server."""
        return SyncPrefectClient(self.api, auth_string=self.auth)

    def run(self, **parameters: Any) -> Any:
        """Create a run of the nightly deployment; return its id."""
        key = str(uuid4())  # a request that is repeated creates one run

        def create(client: SyncPrefectClient) -> FlowRun:
            deployment = client.read_deployment_by_name("reproduce/nightly")
            return client.create_flow_run_from_deployment(
                deployment.id, parameters=parameters, idempotency_key=key
            )

        return self.ask(create).id

    def read(self, run: Any) -> FlowRun:
        """Return a run as the server describes it."""
        return self.ask(lambda client: client.read_flow_run(run))

    def ask(self, request: Callable[[SyncPrefectClient], FlowRun]) -> FlowRun:
        """Repeat a request until the server answers: it may be restarting, or SQLite be locked."""

        def answer() -> FlowRun | None:
            with suppress(httpx.HTTPError), self.client() as client:
                return request(client)
            return None

        return wait_for(answer)

    def ended(self, run: Any) -> FlowRun:
        """Wait until a run has ended, also across restarts of the server."""
        wait_for(lambda: self.read(run).state.is_final())  # type: ignore[union-attr]
        return self.read(run)

    def processes(self, words: str) -> list[psutil.Process]:
        """Return the processes with these words in their commands, without their supervisors."""
        matching = []
        for process in psutil.Process(self.serving.pid).children(recursive=True):
            with suppress(psutil.Error):  # the process has just ended
                command = " ".join(process.cmdline())
                if words in command and "processes.py" not in command and "sh -c" not in command:
                    matching.append(process)
        return matching


def newest(project: Project) -> int:
    """The step of the newest checkpoint; 0 if there is none."""
    checkpoints = (project.root / "data/checkpoints" / KEY).glob("*/step-*")
    return max((int(path.name.removeprefix("step-")) for path in checkpoints), default=0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def shrunk(root: Path) -> Project:
    """A small project whose nightly run is short and frequent."""
    project = copy(root)
    project.edit("params.yaml", "{minutes: 0.1}", "{steps: 5}")
    for meta in ("meta: {retries: 3, timeout: 7200}", "meta: {retries: 2, timeout: 86400}"):
        # Of the download and of the backbone, which is the first with these values.
        project.edit("dvc.yaml", meta, meta.replace(", ", ", retry_delay: 0.1, "))
    project.edit("tables/digits.yaml", "epochs: 2, batch: 32", f"epochs: {EPOCHS}, batch: 8")
    project.edit("prefect.yaml", "targets: []", "targets: [validate]")
    nightly = "{cron: 0 2 * * *, timezone: UTC, slug: nightly}"
    # The test of schedules activates them; the other tests start their own runs.
    frequent = '{cron: "* * * * * */15", timezone: UTC, slug: nightly, active: false}'
    frequent += "\n      - {interval: 20, slug: frequent, active: false}"
    project.edit("prefect.yaml", nightly, frequent)
    return project


def serve(project: Project, *command: str, **env: str) -> Served:
    """Start the servers with `command`, by default `flows.serve`; the caller ends them."""
    ports = [free_port(), free_port()]
    options = [f"--prefect-port={ports[0]}", f"--mlflow-port={ports[1]}"]
    with (project.root / "serve.log").open("wb") as log:
        serving = subprocess.Popen(
            [sys.executable, "-u", *(command or ("-m", "flows.serve")), *options],
            cwd=project.root,
            env=project.env() | env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    log_file = project.root / "serve.log"
    wait_for(lambda: "Ctrl-C" in log_file.read_text() or serving.poll() is not None)
    assert serving.poll() is None, log_file.read_text()
    secret = project.root / ".serve/password"
    return Served(
        project,
        serving,
        f"http://127.0.0.1:{ports[0]}/api",
        f"http://127.0.0.1:{ports[1]}",
        f"admin:{secret.read_text()}" if secret.exists() else None,
    )


def deploy(served: Served) -> None:
    served.project.run(sys.executable, "-m", "flows.serve", "--deploy")


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A small project with its servers and deployments; ended by the command of `make stop`."""
    project = shrunk(tmp_path_factory.mktemp("night") / "project")
    started = serve(project, **NO_DELAY)
    try:
        deploy(started)
        yield started
    finally:
        family = psutil.Process(started.serving.pid).children(recursive=True)
        project.run(sys.executable, "-m", "flows.serve", "--stop")
        started.serving.wait()
        assert gone(*family)
