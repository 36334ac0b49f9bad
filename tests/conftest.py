"""What all tests share: a small data set made by the real stages' code, and Keras once."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis

# First: setting up its logging closes the handlers that are there, absl's with pytest's stderr.
import prefect.main  # noqa: F401
import pytest

# Before anything imports them.
os.environ.setdefault("DVC_NO_ANALYTICS", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from fcn.common import files
from fcn.conversion import shards
from fcn.datasets.shared import catalogue
from fcn.download import fetch
from fcn.settings import reader

# Both measure how busy the machine is.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

ROOT = Path(__file__).parents[1]
SPLITS = {"train": 12, "val": 6, "test": 6}


@pytest.fixture(scope="session")
def loaded() -> reader.Loaded:
    """The project's own settings of the default table."""
    return reader.load("digits", ROOT)


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
            (tmp_path / name).write_text((ROOT / name).read_text())
        path = next(
            p
            for p in (tmp_path / "tables/digits.yaml", tmp_path / "params.yaml")
            if old in p.read_text()
        )
        path.write_text(path.read_text().replace(old, new, 1))
        return tmp_path

    return changed
