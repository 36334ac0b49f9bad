"""Where MLflow's store is, how it is opened and how it fails; imports MLflow only when opening.

The store is `mlflow.db` in the project's folder unless `MLFLOW_TRACKING_URI` names another. That
folder is the one of this code; an installed package reads the store of the project around the
current folder.
"""

import importlib.util
import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fcn.common import messages
from fcn.settings import project

if TYPE_CHECKING:
    from fcn.tracking.store import Store

ROOT = Path(__file__).parents[2]
URI = "MLFLOW_TRACKING_URI"
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_LOG_UV_FILES": "false",
}
IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""MLflow's own seven retries block a training for four minutes where nothing answers, and each
takes two minutes where a server accepts the connection but sends no reply."""


class StoreError(messages.TryLater):
    """MLflow's store failed, or refused a call."""

    def __init__(self, uri: str, error: Exception) -> None:
        """Keep the reason on one line, and whether the store is unavailable."""
        self.reason = textwrap.shorten(str(error), 200)
        self.unavailable = _is_unavailable(error)
        """The store is down, locked or full, so a later call may succeed."""
        super().__init__(
            f"MLflow's store {uri} cannot be used ({self.reason}); "
            f"start it, or set {URI} to another"
        )


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn what MLflow raises into `StoreError`; not all of SQLAlchemy's errors come wrapped."""
    import mlflow
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (mlflow.MlflowException, SQLAlchemyError, OSError) as error:
        raise StoreError(mlflow.get_tracking_uri(), error) from error


def _is_unavailable(error: Exception) -> bool:
    if hasattr(error, "get_http_status_code"):
        return bool(error.get_http_status_code() >= 500)
    if isinstance(error, FileNotFoundError):  # the file to upload is missing
        return False
    response = getattr(error, "response", None)  # of a picture's upload
    return response is None or response.status_code >= 500


def installed() -> bool:
    """Return whether MLflow can be imported; without it nothing is logged."""
    return importlib.util.find_spec("mlflow") is not None


def default_uri() -> str:
    """Return the address of the project's own store.

    It is absolute: MLflow's own default makes a new store in every folder.
    """
    return f"sqlite:///{_database()}"


def address() -> str:
    """Return the address of the store in use, valid in every folder."""
    uri = os.environ.get(URI, default_uri())
    database = _sqlite_file(uri)
    return uri if database is None else f"sqlite:///{database}"


def artifacts(uri: str, table: str) -> str | None:
    """Return where a table's experiment keeps its artifacts; None where MLflow decides.

    Those of a SQLite store are beside its database: MLflow would take the folder of the process
    that creates the experiment, which may be a copy of the project.
    """
    database = _sqlite_file(uri)
    return None if database is None else (database.parent / "mlartifacts" / table).as_uri()


def _sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite store, None for any other."""
    scheme, _, path = uri.partition(":///")
    return Path(path).absolute() if scheme == "sqlite" and path else None


def exists() -> bool:
    """Return whether there is a store to read; opening the default one would create it."""
    return installed() and (URI in os.environ or _database().is_file())


def _database() -> Path:
    roots = (ROOT, project.find())
    files = [root.absolute() / "mlflow.db" for root in roots if root is not None]
    return next((file for file in files if file.is_file()), files[0])


def open_store() -> "Store":
    """Import MLflow (2 to 5 s) and return its store.

    The database itself is opened by the store's first call.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    from fcn.tracking.store import Store

    return Store(os.environ.get(URI, default_uri()))


@contextmanager
def impatient(**more: str) -> Iterator[None]:
    """Let requests to MLflow fail soon; variables that a person has set keep their values."""
    added = {name: value for name, value in (IMPATIENT | more).items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
