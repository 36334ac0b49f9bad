"""What MLflow remembers of a run. Nothing else imports MLflow, and nothing needs it to train.

Experiment = table; run = a training or an evaluation; its parent = the run of the pipeline that
started it, handed down in `FCN_PARENT_RUNS`. The store is `mlflow.db` in the project's folder
unless `MLFLOW_TRACKING_URI` names another.
"""

import hashlib
import importlib.util
import logging
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

PARENTS = "FCN_PARENT_RUNS"
"""`TABLE:RUN_ID` separated by spaces. `MLFLOW_RUN_ID` would not do: a child with it resumes the
parent, renames it and ends it."""
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_LOG_UV_FILES": "false",
}
HERE = Path(__file__).parents[1]
STORE = f"sqlite:///{HERE / 'mlflow.db'}"
"""The default; absolute, since MLflow's own default makes a new store in every folder."""
REQUIREMENTS = ("keras", "numpy", "pydantic", "ruamel.yaml")
BACKENDS = {"tensorflow": ("tensorflow-cpu", "tensorflow"), "jax": ("jax",)}


def installed() -> bool:
    """Return whether MLflow can be imported; without it every run is silent."""
    return importlib.util.find_spec("mlflow") is not None


def store() -> Any:
    """Import MLflow, quiet, on its store."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import mlflow

    # A new store tells each of its migrations, a logged model how it looked for packages.
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if "MLFLOW_TRACKING_URI" not in os.environ:
        mlflow.set_tracking_uri(STORE)
    return mlflow


def experiment(mlflow: Any, table: str) -> str:
    """Return the id of the table's experiment; make it if it is new."""
    found = mlflow.get_experiment_by_name(table)
    if found is not None:
        return str(found.experiment_id)
    ours = mlflow.get_tracking_uri() == STORE
    place = (HERE / "mlartifacts" / table).as_uri() if ours else None
    kind = {"mlflow.experimentKind": "custom_model_development"}  # its page shows training runs
    return str(mlflow.create_experiment(table, artifact_location=place, tags=kind))


class Run:
    """One run of MLflow, or nothing where MLflow is not installed."""

    def __init__(self, mlflow: Any = None) -> None:
        """Keep the module; None makes every method do nothing."""
        self._mlflow = mlflow

    def metrics(self, values: Mapping[str, float | None], step: int | None = None) -> None:
        """Log numbers; None (an absent class) is left out."""
        if self._mlflow:
            known = {name: value for name, value in values.items() if value is not None}
            self._mlflow.log_metrics(known, step=step)

    def picture(self, name: str, picture: "Image.Image") -> None:
        """Log a picture under `pictures/`."""
        if self._mlflow:
            self._mlflow.log_image(picture, f"pictures/{name}.png")

    def file(self, path: Path) -> None:
        """Log a file as it is."""
        if self._mlflow:
            self._mlflow.log_artifact(str(path))

    def data(self, name: str, folder: Path, fingerprint: str, split: str) -> None:
        """Log which data was used: name, place, SHA-256 of the records, split."""
        if self._mlflow:
            from mlflow.data.code_dataset_source import CodeDatasetSource
            from mlflow.data.meta_dataset import MetaDataset

            source = CodeDatasetSource({"dvc.path": folder.as_posix()})
            # MLflow keeps 36 characters of a digest; the whole one is a tag.
            make: Any = MetaDataset  # its abstract `profile` is one that MLflow itself leaves out
            dataset = make(source, name=name, digest=fingerprint[:32])
            self._mlflow.log_input(dataset, context=split)
            self._mlflow.set_tag("data.sha256", fingerprint)

    def model(self, path: Path, channels: int, backend: str) -> None:
        """Log a saved model with signature and requirements, and its file's MD5 as DVC knows it."""
        if self._mlflow:
            import numpy as np
            from mlflow.models import ModelSignature
            from mlflow.types import Schema, TensorSpec

            image = TensorSpec(np.dtype("uint8"), (-1, -1, -1, channels))
            mask = TensorSpec(np.dtype("uint8"), (-1, -1, -1))
            self._mlflow.set_tag("model.md5", md5(path))
            self._mlflow.pyfunc.log_model(
                name="model",
                python_model=str(HERE / "fcn" / "served.py"),
                artifacts={"model": str(path)},
                model_config={"backend": backend},
                code_paths=[str(HERE / "fcn")],
                input_example=np.zeros((1, 32, 32, channels), np.uint8),
                signature=ModelSignature(inputs=Schema([image]), outputs=Schema([mask])),
                # Given, since inferring them takes MLflow ten seconds.
                pip_requirements=requirements(backend),
            )


@contextmanager
def run(kind: str, key: str, table: str, settings: Mapping[str, Any]) -> Iterator[Run]:
    """Open a run named `KIND KEY` in the experiment `table`; an exception marks it failed.

    Args:
        kind: `train` or `evaluate`.
        key: the model's key in the table file.
        table: the table's name.
        settings: everything that determines the result, nested; logged as parameters `a.b.c`.
    """
    if not installed():
        yield Run()
        return
    mlflow = store()
    parents = dict(part.split(":") for part in os.environ.get(PARENTS, "").split())
    tags = {"fcn.kind": kind, "fcn.key": key, "dvc.stage": os.environ.get("DVC_STAGE", "")}
    with mlflow.start_run(
        experiment_id=experiment(mlflow, table),
        run_name=f"{kind} {key}",
        parent_run_id=parents.get(table),
        tags={name: value for name, value in (tags | git_tags()).items() if value},
    ):
        mlflow.log_params(dict(_flat(settings)))
        yield Run(mlflow)


def requirements(backend: str) -> list[str]:
    """Return what the logged model needs, at the versions that are installed."""
    names = [*REQUIREMENTS]
    for name in BACKENDS[backend]:
        if importlib.util.find_spec(backend) and _version(name):
            names.append(name)
            break
    return [f"{name}=={_version(name)}" for name in names]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def md5(path: Path) -> str:
    """Return a file's MD5, by which dvc.lock names it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def git_tags() -> dict[str, str]:
    """Return the commit and whether files differ from it; empty outside a Git checkout."""

    def git(*arguments: str) -> str | None:
        done = subprocess.run(
            ["git", *arguments], cwd=HERE, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return {}
    return {"git.commit": commit, "git.dirty": str(bool(git("status", "--porcelain"))).lower()}
