"""What MLflow remembers of a run. Nothing needs it to train.

Experiment = table; run = a training or an evaluation; its parent = the run of the pipeline that
started it, handed down in `FCN_PARENT_RUNS`. The store is `mlflow.db` in the project's folder
unless `MLFLOW_TRACKING_URI` names another.
"""

import hashlib
import importlib.util
import logging
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcn.common import messages
from fcn.tracking import backlog, logged_model

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from fcn.records.record import Decoded, Labels

PARENTS = "FCN_PARENT_RUNS"
"""`TABLE:RUN_ID` separated by spaces. `MLFLOW_RUN_ID` would not do: a child with it resumes the
parent, renames it and ends it."""
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_LOG_UV_FILES": "false",
}
HERE = Path(__file__).parents[2]
STORE = f"sqlite:///{HERE / 'mlflow.db'}"
"""The default; absolute, since MLflow's own default makes a new store in every folder."""


def installed() -> bool:
    """Return whether MLflow can be imported; without it every run is silent."""
    return importlib.util.find_spec("mlflow") is not None


def store() -> Any:
    """Import MLflow, quiet, on its store."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import mlflow

    # A new store tells each of its migrations, a logged model how it looked for packages, and a
    # locked database its traceback, which the error that it raises as well says in a line.
    logging.getLogger("alembic").setLevel(logging.ERROR)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI", STORE))
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
    """One run of MLflow, or nothing where MLflow is not installed.

    A store that is away while a training goes on is told later (`fcn/tracking/backlog.py`).
    """

    def __init__(self, mlflow: Any = None, told: Mapping[str, int] | None = None) -> None:
        """Keep the module (None: do nothing), and the last step that each metric was told for."""
        self._mlflow, self._backlog = mlflow, backlog.Backlog(mlflow)
        self._told = dict(told or {})

    @property
    def id(self) -> str | None:
        """MLflow's id of this run, by which it is continued."""
        return str(self._mlflow.active_run().info.run_id) if self._mlflow else None

    def tell(self, what: Callable[[Any], None]) -> None:
        """Call `what` with MLflow, now or when its store is there again."""
        self._backlog.add(what)

    def end(self, status: str) -> None:
        """End the run in any case: MLflow would take the next one of this process for its child."""
        if self._mlflow is None:
            return
        identity = self.id
        try:
            self.tell(lambda mlflow: mlflow.MlflowClient().set_terminated(identity, status))
            # Who waits for an error or pressed Ctrl-C does not wait for a store.
            self._backlog.end(backlog.PATIENCE_SECONDS if status == "FINISHED" else 0.0)
        finally:
            # Closes MLflow's own books of this process; that it tells the store again is no news.
            quiet = backlog.impatient(MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true")
            with quiet, suppress(*backlog.failures(self._mlflow)):
                self._mlflow.end_run(status)

    def metrics(self, values: Mapping[str, float | None], step: int | None = None) -> None:
        """Log numbers; None (an absent class) is left out, and so is a step told before a kill."""
        new = (name for name in values if self._told.get(name, -1) < (step or 0))
        known = {name: value for name in new if (value := values[name]) is not None}
        if known:
            now = time.time_ns() // 1_000_000
            self.tell(lambda mlflow: mlflow.log_metrics(known, step=step, timestamp=now))

    def picture(self, name: str, picture: "Image.Image") -> None:
        """Log a picture; in no folder, since MLflow's page that compares runs opens none."""
        self.tell(lambda mlflow: mlflow.log_image(picture, f"{name}.png"))

    def validation_picture(
        self, sample: "Decoded", mask: "np.ndarray", labels: "Labels", epoch: int
    ) -> None:
        """Log input, truth, predicted mask H W and their differences after an epoch (from 1)."""
        if self._mlflow is None:
            return
        from fcn.pictures import overlay

        name = f"epoch-{epoch:04d}-{overlay.file_name(sample.id)}"
        self.picture(name, overlay.compared(sample, mask, labels))

    def table(self, path: Path) -> None:
        """Log a file of numbers; in no folder, as pictures."""
        text = path.read_text("utf-8")  # now: later it may be another's
        self.tell(lambda mlflow: mlflow.log_text(text, path.name))

    def data(self, name: str, folder: Path, fingerprint: str, split: str) -> None:
        """Log which data was used: name, place, SHA-256 of the records, split."""

        def tell(mlflow: Any) -> None:
            from mlflow.data.code_dataset_source import CodeDatasetSource
            from mlflow.data.meta_dataset import MetaDataset

            source = CodeDatasetSource({"dvc.path": folder.as_posix()})
            make: Any = MetaDataset  # its abstract `profile` is one that MLflow itself leaves out
            # MLflow keeps 36 characters of a digest; the whole one is a tag.
            dataset = make(source, name=name, digest=fingerprint[:32])
            mlflow.log_input(dataset, context=split)
            mlflow.set_tag("data.sha256", fingerprint)

        self.tell(tell)

    def model(self, path: Path, channels: int, backend: str) -> None:
        """Log a saved model with signature and requirements, and its file's MD5 as DVC knows it."""
        identity = self.id

        def known(mlflow: Any) -> bool:
            tags = mlflow.MlflowClient().get_run(identity).data.tags
            return bool(tags.get("model.md5") == md5(path))

        def log(mlflow: Any) -> None:
            if not known(mlflow):  # else told before a kill, between here and the training's end
                logged_model.log(mlflow, path, channels, backend)

        # Two calls: where only the second fails, the model is not logged once more.
        self.tell(log)
        self.tell(lambda mlflow: mlflow.set_tag("model.md5", md5(path)))


@contextmanager
def run(
    kind: str,
    key: str,
    table: str,
    settings: Mapping[str, Any],
    off: bool = False,
    again: str | None = None,
) -> Iterator[Run]:
    """Open a run named `KIND KEY` in the experiment `table`; an exception marks it failed.

    Args:
        kind: `train` or `evaluate`.
        key: the model's key in the table file.
        table: the table's name.
        settings: everything that determines the result, nested; logged as parameters `a.b.c`.
        off: tell MLflow nothing, as where it is not installed.
        again: the id of the run to continue; a new one where the store does not have it.

    Raises:
        TryLater: the store cannot be opened; said before anything is trained.
    """
    if off or not installed():
        yield Run()
        return
    mlflow = store()
    parents = dict(part.split(":") for part in os.environ.get(PARENTS, "").split())
    tags = {"fcn.kind": kind, "fcn.key": key, "dvc.stage": os.environ.get("DVC_STAGE", "")}
    with refusing(mlflow):
        place = experiment(mlflow, table)
        again, told = _already(mlflow, place, again)
        mlflow.start_run(
            run_id=again,
            experiment_id=place,
            run_name=f"{kind} {key}",
            parent_run_id=None if again else parents.get(table),
            tags={name: value for name, value in (tags | git_tags()).items() if value},
            # Of the whole machine, every ten seconds.
            log_system_metrics=kind == "train",
        )
        if again is None:
            mlflow.log_params(dict(_flat(settings)))
        elif table in parents:  # the pipeline run that finishes it, not the one that was killed
            mlflow.set_tag("mlflow.parentRunId", parents[table])
    opened, status = Run(mlflow, told), "FAILED"
    try:
        yield opened
        status = "FINISHED"
    finally:
        opened.end(status)


def _already(mlflow: Any, experiment: str, again: str | None) -> tuple[str | None, dict[str, int]]:
    """Return the run's id if the store has it, and the last step that each metric was told for."""
    if again is None:
        return None, {}
    client = mlflow.MlflowClient()
    found = client.search_runs([experiment], f"attributes.run_id = '{again}'")
    if not found:
        messages.say(f"warning: MLflow no longer has the run {again}; going on in a new one")
        return None, {}
    # MLflow itself counts the steps of what it tells of the machine.
    names = [name for name in found[0].data.metrics if not name.startswith("system/")]
    return again, {
        name: max(one.step for one in client.get_metric_history(again, name)) for name in names
    }


def trained(table: str, model: Path) -> dict[str, Any] | None:
    """Return the run that trained a model file: its id, time and Git commit; None if none did.

    Raises:
        ValueError: the store cannot be opened.
    """
    mlflow = store()
    with refusing(mlflow):
        client = mlflow.MlflowClient()
        place = client.get_experiment_by_name(table)
        query = f"tags.`model.md5` = '{md5(model)}' and tags.`fcn.kind` = 'train'"
        runs = client.search_runs([place.experiment_id], query, max_results=1) if place else []
    if not runs:
        return None
    began = datetime.fromtimestamp(runs[0].info.start_time / 1000, UTC)
    tags = runs[0].data.tags
    return {
        "run": runs[0].info.run_id,
        "when": f"{began:%Y-%m-%d %H:%M} UTC",
        "commit": tags.get("git.commit"),
        "dirty": tags.get("git.dirty") == "true",
    }


@contextmanager
def refusing(mlflow: Any) -> Iterator[None]:
    """Turn what MLflow raises into one message for the person."""
    try:
        yield
    except backlog.failures(mlflow) as error:
        raise messages.TryLater(
            f"MLflow's store {mlflow.get_tracking_uri()} cannot be used ({backlog.short(error)}); "
            "start it, or set MLFLOW_TRACKING_URI to another"
        ) from error


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
    # What a run itself writes does not make the code that ran another.
    changed = git("status", "--porcelain", "--", ".", ":!data", ":!dvc.lock")
    return {"git.commit": commit, "git.dirty": str(bool(changed)).lower()}
