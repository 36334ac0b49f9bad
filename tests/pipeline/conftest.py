"""Copies of the project, shrunk: the real graph, stages, stores and flow on a few canvases."""

import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fcn.runtime import processes
from tests.shipped import ROOT, SETTINGS, SHIPPED
from tests.waiting import wait_for

CODE = ("fcn", "flows", "stages", ".dvcignore", ".gitattributes", ".gitignore")
DVC = (".dvc/.gitignore", ".dvc/config", ".dvc/plots")
SHRUNK = {
    r"\{train: 2000, val: 200, test: 400\}": "{train: 24, val: 6, test: 8}",
    r"width: 0.125": "width: 0.0625",
    r"epochs: \d+": "epochs: 2",
    r"batch: \d+": "batch: 8",
    r"(side: 32\n +training: \{epochs: 2, batch: )8": r"\g<1>32",
    r"pictures: \d+": "pictures: 2",
    # The row without transfer trains as the others do.
    r"      digits-fcn32s-scratch: .*\n": "",
    r"  digits-scratch:\n(?:    .*\n)+": "",
    r"  # FCN-32s from random .*\n  digits-fcn32s-scratch:\n(?:    .*\n)+": "",
}
"""What makes the default table small: pattern in tables/digits.yaml, replacement."""


@dataclass(frozen=True)
class Project:
    """A checkout of its own, with its own Prefect home and MLflow store."""

    root: Path
    prefect: str = ""
    """The address of a Prefect server; empty: each run of the flow starts one of its own."""

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in it, stdout and stderr as one text."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stdout
        return done

    def env(self) -> dict[str, str]:
        """Return the environment of a person who has just cloned it."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PREFECT_", "MLFLOW_", "FCN_", "PYTEST_", "PYTHON", "DVC_"))
        }
        if self.prefect:
            kept["PREFECT_API_URL"] = self.prefect
        return kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PREFECT_HOME": str(self.root / ".prefect"),
            "DVC_NO_ANALYTICS": "1",
        }

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that stands in a file."""
        path = self.root / name
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), "utf-8")

    @contextmanager
    def edited(self, old: str, new: str) -> Iterator[None]:
        """Replace a text in the settings file that holds it, for a while."""
        names = ("params.yaml", "tables/digits.yaml")
        name = next(n for n in names if old in (self.root / n).read_text("utf-8"))
        self.edit(name, old, new)
        try:
            yield
        finally:
            self.edit(name, new, old)

    def outs(self) -> dict[str, bytes]:
        """Return every file under data/ with its bytes, DVC's own .gitignore files aside."""
        found = (path for path in (self.root / "data").rglob("*") if path.is_file())
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in found
            if path.name != ".gitignore"
        }


def shrink(table: Path) -> None:
    """Make the default table small."""
    text = table.read_text("utf-8")
    for pattern, replacement in SHRUNK.items():
        text, count = re.subn(pattern, replacement, text)
        assert count, pattern
    table.write_text(text, "utf-8")


def copy(root: Path, *, shrunk: bool = True) -> Project:
    """Copy the code and the shipped settings, shrink the default table, commit."""
    for source, name in [
        *((ROOT, name) for name in (*CODE, *DVC)),
        *((SHIPPED, name) for name in SETTINGS),
    ]:
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source / name, target)
    if shrunk:
        shrink(root / "tables/digits.yaml")
    project = Project(root)
    project.run("git", "init", "-q")
    project.run("git", "config", "user.email", "test@example.org")
    project.run("git", "config", "user.name", "Test")
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", "start")
    return project


RECORDED = "recorded"
RECORD = f"""
import atexit, json, os, sys
from pathlib import Path

def write(recorder, path):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(sorted(recorder.read)))

command = sys.orig_argv[1:]
if command[:1] == ["-m"] and command[1].startswith("stages."):
    sys.path[:0] = [os.getcwd(), {str(ROOT)!r}]
    from tests.recorder import Recorder
    recorder = Recorder()
    recorder.install()
    key = "" if command[2].startswith("-") else f"@{{command[2]}}"
    name = command[1].removeprefix("stages.") + key
    atexit.register(write, recorder, Path("{RECORDED}", f"{{name}}.json").resolve())
"""
"""A sitecustomize.py: each stage writes which settings it read."""


@pytest.fixture(scope="session")
def by_dvc(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A shrunk project after a fresh `dvc repro`; RECORDED has what settings each stage read."""
    project = copy(tmp_path_factory.mktemp("by-dvc"))
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text(RECORD, "utf-8")
    project.run("env", f"PYTHONPATH={site}", "dvc", "repro")
    return project


@pytest.fixture(scope="session")
def by_flow(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A shrunk project after a fresh run of the flow, without a server."""
    project = copy(tmp_path_factory.mktemp("by-flow"))
    done = project.run(sys.executable, "-m", "flows.reproduce")
    (project.root / "flow.log").write_text(done.stdout, "utf-8")
    return project


@pytest.fixture(scope="session")
def server(by_flow: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect server on a copy of the database that a run of the flow has made."""
    home = tmp_path_factory.mktemp("prefect") / "home"
    shutil.copytree(by_flow.root / ".prefect", home)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    host, port = address.split(":")
    prefect = [sys.executable, "-m", "prefect", "server", "start", "--host", host, "--port", port]
    env = by_flow.env() | {"PREFECT_HOME": str(home)}
    command = [*prefect, "--no-scheduler", "--no-late-runs"]
    with processes.start(command, env=env, stdout=subprocess.DEVNULL) as running:
        wait_for(lambda: answers(f"http://{address}/api/health"))
        yield f"http://{address}/api"
        running.terminate()


@pytest.fixture(scope="session")
def served(by_flow: Project, server: str) -> Project:
    """The project that the flow has made; a new run of the flow reports to the server."""
    return replace(by_flow, prefect=server)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30) as page:
            return bool(page.status == 200)
    except OSError:
        return False
