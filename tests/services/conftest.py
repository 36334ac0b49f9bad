"""One shrunk project, served as a person serves it: servers, worker and deployments are real."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

from tests.pipeline.conftest import Project, copy

KEY = "digits-vgg16"
"""The model that the tests train."""
EPOCHS = 8
"""Of the backbone's classifier: long enough to be hit by every kill, short enough to wait for."""


HASTY = {"PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1"}
"""How soon a run that waits for its turn asks again; Prefect's own 30 seconds are patient."""


@dataclass(frozen=True)
class Served:
    """A project that is served."""

    project: Project
    serving: subprocess.Popen[bytes]
    api: str
    mlflow: str
    auth: str | None = None

    def client(self) -> SyncPrefectClient:
        """A client of the server."""
        return SyncPrefectClient(self.api, auth_string=self.auth)

    def run(self, **parameters: Any) -> Any:
        """Ask for a run of the nightly deployment; return its id."""
        with self.client() as client:
            deployment = client.read_deployment_by_name("reproduce/nightly")
            return client.create_flow_run_from_deployment(deployment.id, parameters=parameters).id

    def read(self, run: Any) -> FlowRun:
        """Return what the server knows of a run, once it answers."""

        def answer() -> FlowRun | None:
            with suppress(httpx.HTTPError), self.client() as client:  # it is being started again
                return client.read_flow_run(run)
            return None

        found: FlowRun = wait_for(answer)
        return found

    def ended(self, run: Any) -> FlowRun:
        """Wait until a run has ended, also while the server itself is away."""
        wait_for(lambda: self.read(run).state.is_final())  # type: ignore[union-attr]
        return self.read(run)

    def processes(self, words: str) -> list[psutil.Process]:
        """Return what serves or runs here and has these words in its command, tethers aside."""
        found = []
        for process in psutil.Process(self.serving.pid).children(recursive=True):
            with suppress(psutil.Error):  # one that has just ended
                command = " ".join(process.cmdline())
                if words in command and "tether.py" not in command and "sh -c" not in command:
                    found.append(process)
        return found


def wait_for(what: Callable[[], Any], seconds: float = 300) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := what()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return result


def newest(project: Project) -> int:
    """The step of the newest checkpoint; 0 where there is none."""
    found = (project.root / "data/checkpoints" / KEY).glob("*/step-*")
    return max((int(path.name.removeprefix("step-")) for path in found), default=0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def shrunk(root: Path) -> Project:
    """A shrunk project whose nightly run is short and often."""
    project = copy(root)
    project.edit("params.yaml", "{minutes: 0.1}", "{steps: 5}")
    for often in ("meta: {retries: 3, timeout: 7200}", "meta: {retries: 2, timeout: 86400}"):
        # The download's, and the backbone's, which is the first of these.
        project.edit("dvc.yaml", often, often.replace(", ", ", retry_delay: 0.1, "))
    text = (root / "tables/digits.yaml").read_text("utf-8")
    head, _, rest = text.partition("classifier:\n")
    rest = rest.replace("epochs: 2", f"epochs: {EPOCHS}", 1)
    (root / "tables/digits.yaml").write_text(f"{head}classifier:\n{rest}", "utf-8")
    project.edit("prefect.yaml", "targets: []", "targets: [validate]")
    nightly = "{cron: 0 2 * * *, timezone: UTC, slug: nightly}"
    # Switched on by the test of schedules: the others start their own runs.
    often = '{cron: "* * * * * */15", timezone: UTC, slug: nightly, active: false}'
    often += "\n      - {interval: 20, slug: often, active: false}"
    project.edit("prefect.yaml", nightly, often)
    return project


def serve(project: Project, *command: str, **env: str) -> Served:
    """Start the servers by this command, or the ordinary one; the caller ends them."""
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
    said = project.root / "serve.log"
    wait_for(lambda: "Ctrl-C" in said.read_text() or serving.poll() is not None)
    assert serving.poll() is None, said.read_text()
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
    """A shrunk project, served and deployed; ended by `make stop`'s command."""
    project = shrunk(tmp_path_factory.mktemp("night") / "project")
    here = serve(project, **HASTY)
    try:
        deploy(here)
        yield here
    finally:
        family = psutil.Process(here.serving.pid).children(recursive=True)
        project.run(sys.executable, "-m", "flows.serve", "--stop")
        here.serving.wait()
        assert psutil.wait_procs(family, timeout=20)[1] == []
