"""What all tests share: a small data set made by the real stages' code, and Keras once."""

# First: Prefect, Keras and others read the environment when they are imported.
import tests.environment  # noqa: F401

# isort: split
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis

# Next: setting up its logging closes the handlers that are there, absl's with pytest's stderr.
import prefect.main  # noqa: F401
import pytest

from fcn.common import files
from fcn.conversion import shards
from fcn.datasets.shared import catalogue
from fcn.download import fetch
from fcn.settings import reader
from fcn.tracking import connection
from tests.shipped import ROOT, SHIPPED

# Both measure how busy the machine is.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

SPLITS = {"train": 12, "val": 6, "test": 6}


@pytest.fixture(scope="session", autouse=True)
def in_the_shipped_folder() -> Iterator[None]:
    """Run in the folder with the shipped settings; no MLflow store of a person is near."""
    before = Path.cwd()
    os.chdir(SHIPPED)
    connection.ROOT = SHIPPED
    yield
    connection.ROOT = ROOT
    os.chdir(before)


@pytest.fixture(scope="session")
def loaded() -> reader.Loaded:
    """The project's own settings of the default table."""
    return reader.load("digits", SHIPPED)


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw folder of the digits, as the download stage makes it."""
    folder = tmp_path_factory.mktemp("raw")
    for archive in catalogue.load("digits").archives:
        fetch.fetch(archive, folder)
    return folder


@pytest.fixture(scope="session")
def small_records(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of a few canvases per split; for reading only."""
    return write_small_records(raw, tmp_path_factory.mktemp("records") / "digits")


@pytest.fixture
def own_records(raw: Path, tmp_path: Path) -> Path:
    """The same records, for a test that damages them."""
    return write_small_records(raw, tmp_path / "digits")


def write_small_records(raw: Path, out: Path) -> Path:
    source = catalogue.load("digits")
    pairs = {split: source.samples(raw, split, count, seed=7) for split, count in SPLITS.items()}
    with files.writing_folder(out) as folder:
        shards.write(folder, source, pairs, shards=2)
    return out


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The address of a Dask scheduler with two worker processes."""
    import distributed

    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as running:
        yield running.scheduler_address


@pytest.fixture(scope="session")
def keras_ready(loaded: reader.Loaded) -> None:
    """Keras on the settings' backend, deterministic, seeded."""
    from fcn.network import backend

    backend.use(loaded.common)


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[str, str], Path]:
    """A function that copies the settings with one text replaced and returns the folder."""

    def changed(old: str, new: str) -> Path:
        (tmp_path / "tables").mkdir()
        for name in ("params.yaml", "tables/digits.yaml"):
            (tmp_path / name).write_text((SHIPPED / name).read_text("utf-8"), "utf-8")
        path = next(
            p
            for p in (tmp_path / "tables/digits.yaml", tmp_path / "params.yaml")
            if old in p.read_text("utf-8")
        )
        path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")
        return tmp_path

    return changed
