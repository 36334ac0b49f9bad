"""A network that breaks off, a full disk and a read-only one, under the flow."""

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import pytest

from tests.fcn.common.test_messages import can_mount, mount
from tests.publisher import Publisher, publisher, status
from tests.services.conftest import KEY, Served, shrunk

pytestmark = pytest.mark.services
NAME = "digits.csv.gz"


@contextmanager
def published(served: Served) -> Iterator[Publisher]:
    """The data set is on a server of this machine meanwhile, and nothing of it is here."""
    path = served.project.root / "fcn/datasets/digits.py"
    before = path.read_text("utf-8")
    with publisher() as one:
        one.files[NAME] = resources.files("sklearn.datasets.data").joinpath(NAME).read_bytes()
        path.write_text(re.sub(r'url=".*"', f'url="{one.url}/{NAME}"', before), "utf-8")
        shutil.rmtree(served.project.root / "data/raw/digits", ignore_errors=True)
        try:
            yield one
        finally:
            path.write_text(before, "utf-8")


@pytest.mark.soak
def test_a_network_that_breaks_off_is_tried_again(served: Served) -> None:
    with published(served) as one:
        one.next = [status(503)] * 4  # one more than the stage itself has patience for
        done = served.ended(served.run(targets=["download"]))
        assert done.state_name == "Completed", done.state
        assert not one.next


def test_a_publisher_that_refuses_is_asked_once_and_quoted(served: Served) -> None:
    with published(served) as one:
        one.next = [status(404), status(500)]
        refused = served.ended(served.run(targets=["download"]))
        assert refused.state_name == "Failed"
        assert "404 Not Found" in refused.state.message
        assert len(one.next) == 1


@pytest.mark.soak
@pytest.mark.skipif(not can_mount(), reason="may not mount a small disk here")
def test_on_a_full_or_read_only_disk_nothing_that_was_learned_is_lost(
    tmp_path: Path,
) -> None:
    project = shrunk(tmp_path / "project")
    train = [sys.executable, "-m", "flows.reproduce", "backbone"]
    models = project.root / "data/models"
    models.mkdir(parents=True)
    for options, said in (("ro", "read-only"), ("size=20k", "no space is left")):
        script = f'mount -t tmpfs -o {options} none {models}; exec "$@"'
        done = project.run(*mount(script, "sh"), *train, check=False)
        assert done.returncode == 1
        assert f"backbone@{KEY}: {models.relative_to(project.root)}" in done.stdout
        assert said in done.stdout
        assert "Traceback" not in done.stdout
    done = project.run(*train)
    assert f"{KEY}: resumes from the checkpoint at step" in done.stdout
    assert "ran 1 (backbone@digits-vgg16)" in done.stdout
