"""Network errors, a full disk and a read-only disk during a run."""

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import pytest

from tests.mounting import can_mount, mount
from tests.publisher import Publisher, publisher, status
from tests.services.conftest import KEY, Served, shrunk

pytestmark = pytest.mark.services
NAME = "digits.csv.gz"


@contextmanager
def published(served: Served) -> Iterator[Publisher]:
    """Publish the data set on a server of this machine, and remove the downloaded copy."""
    path = served.project.root / "fcn/datasets/digits.py"
    before = path.read_text("utf-8")
    with publisher() as server:
        server.files[NAME] = resources.files("sklearn.datasets.data").joinpath(NAME).read_bytes()
        path.write_text(re.sub(r'url=".*"', f'url="{server.url}/{NAME}"', before), "utf-8")
        shutil.rmtree(served.project.root / "data/raw/digits", ignore_errors=True)
        try:
            yield server
        finally:
            path.write_text(before, "utf-8")


@pytest.mark.soak
def test_a_network_error_is_retried(served: Served) -> None:
    with published(served) as server:
        server.next = [status(503)] * 4  # one more than the stage itself retries
        done = served.ended(served.run(targets=["download"]))
        assert done.state_name == "Completed", done.state
        assert not server.next


def test_a_refusal_of_the_publisher_is_not_retried_and_is_quoted(served: Served) -> None:
    with published(served) as server:
        server.next = [status(404), status(500)]
        refused = served.ended(served.run(targets=["download"]))
        assert refused.state_name == "Failed"
        assert "404 Not Found" in refused.state.message
        assert len(server.next) == 1


@pytest.mark.soak
@pytest.mark.skipif(not can_mount(), reason="may not mount a small disk here")
def test_a_full_or_read_only_disk_loses_no_training(
    tmp_path: Path,
) -> None:
    project = shrunk(tmp_path / "project")
    train = [sys.executable, "-m", "flows.reproduce", "backbone"]
    models = project.root / "data/models"
    models.mkdir(parents=True)
    for options, message in (("ro", "read-only"), ("size=20k", "no space is left")):
        script = f'mount -t tmpfs -o {options} none {models}; exec "$@"'
        done = project.run(*mount(script, "sh"), *train, check=False)
        assert done.returncode == 1
        assert f"backbone@{KEY}: {models.relative_to(project.root)}" in done.stdout
        assert message in done.stdout
        assert "Traceback" not in done.stdout
    done = project.run(*train)
    assert f"{KEY}: resumes from the checkpoint at step" in done.stdout
    assert "ran 1 (backbone@digits-vgg16)" in done.stdout
