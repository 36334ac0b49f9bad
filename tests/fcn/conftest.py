"""What tests of networks share: Keras on the settings' backend, and empty MLflow stores.

Modules that import keras say `pytestmark = pytest.mark.usefixtures("seeded")`; the variable set
here makes sure that the first import, whoever does it, is on the right backend.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcn.records import verdict
from fcn.settings import reader
from fcn.settings.network import Network
from fcn.tracking import connection
from tests.shipped import SHIPPED

os.environ["KERAS_BACKEND"] = reader.load("digits", SHIPPED).common.backend


@pytest.fixture(scope="session")
def tiny() -> Network:
    """VGG-16 with 4 to 32 channels, 256 in fc6 and fc7."""
    return Network(width=0.0625, fc6_kernel=1, dropout=0.0, mean=0.0, std=255.0)


@pytest.fixture(scope="session")
def valid(small_records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A verdict on the small records."""
    path = tmp_path_factory.mktemp("verdict") / "valid.json"
    verdict.write(path, small_records)
    return path


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture
def seeded(keras_ready: None) -> None:
    """Keras ready, and the same first weights whichever tests ran before."""
    import keras

    keras.utils.set_random_seed(5)


@pytest.fixture
def half_precision(seeded: None, loaded: reader.Loaded) -> Iterator[None]:
    """What is built meanwhile computes in bfloat16."""
    from fcn.network import backend

    backend.use(loaded.common.model_copy(update={"precision": "mixed_bfloat16"}))
    yield
    backend.use(loaded.common)


@pytest.fixture(scope="session")
def new_store(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Path, pytest.MonkeyPatch], Any]:
    """Make an empty MLflow store in a folder and use it; its tables are created only once."""
    template = tmp_path_factory.mktemp("store") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{template}")
        connection.open_store().find_experiment("none")

    def use(folder: Path, patch: pytest.MonkeyPatch) -> Any:
        shutil.copy(template, folder / "mlflow.db")
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        patch.chdir(folder)  # where MLflow puts the files of runs
        patch.setattr(sys, "path", [*sys.path])  # to which it adds a loaded model's code
        connection.open_store()
        import mlflow

        return mlflow

    return use


@pytest.fixture
def mlflow(new_store: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """MLflow on an empty store of the test's own."""
    return new_store(tmp_path, monkeypatch)
