"""Log a training or an evaluation to MLflow. Training works without it.

Experiment = table; run = a training or an evaluation; its parent = the run of the pipeline that
started it, handed down in `FCN_PARENT_RUNS`.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcn.common import files, messages
from fcn.common.text import file_name
from fcn.tracking import backlog, connection, git

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from fcn.records.labels import Labels
    from fcn.records.record import DecodedSample
    from fcn.tracking.run_writer import RunWriter

PARENTS = "FCN_PARENT_RUNS"
"""`TABLE:RUN_ID` separated by spaces. Not `MLFLOW_RUN_ID`: with it a child process would resume the
parent, rename it and end it."""


class Run:
    """One run of MLflow; without a writer every method does nothing.

    While the store is unavailable, entries wait in a backlog and the training continues.
    """

    def __init__(
        self, writer: "RunWriter | None" = None, last_steps: Mapping[str, int] | None = None
    ) -> None:
        """Keep the writer, and for a resumed run each metric's last logged step."""
        self._writer, self._backlog = writer, backlog.Backlog()
        self._last_steps = dict(last_steps or {})

    @property
    def id(self) -> str | None:
        """MLflow's id, by which the run is resumed."""
        return self._writer.id if self._writer else None

    def log(self, entry: Callable[["RunWriter"], None]) -> None:
        """Call `entry` with the run's writer, now or when the store is available."""
        if (writer := self._writer) is not None:
            self._backlog.add(lambda: entry(writer))

    def end(self, status: str) -> None:
        """End the run, even if the store is unavailable."""
        if self._writer is None:
            return
        try:
            self.log(lambda run: run.terminate(status))
            # After an error or Ctrl-C the run ends at once.
            self._backlog.end(backlog.PATIENCE_SECONDS if status == "FINISHED" else 0.0)
        finally:
            self._writer.close(status)

    def log_metrics(self, values: Mapping[str, float | None], step: int | None = None) -> None:
        """Log numbers, but neither None (an absent class) nor steps logged before a kill."""
        number = step or 0
        new = {
            name: value
            for name, value in values.items()
            if value is not None and self._last_steps.get(name, -1) < number
        }
        if new:
            now = time.time_ns() // 1_000_000
            self.log(lambda run: run.log_metrics(new, number, now))

    def log_picture(self, name: str, picture: "Image.Image") -> None:
        """Log a picture; in no folder, since MLflow's page that compares runs opens none."""
        self.log(lambda run: run.log_picture(picture, f"{name}.png"))

    def log_validation_picture(
        self, sample: "DecodedSample", mask: "np.ndarray", labels: "Labels", epoch: int
    ) -> None:
        """Log input, truth, predicted mask H W and their differences after an epoch (from 1)."""
        if self._writer is None:
            return
        from fcn.pictures import overlay  # a training that logs nothing needs no drawing code

        name = f"epoch-{epoch:04d}-{file_name(sample.id)}"
        self.log_picture(name, overlay.draw_comparison(sample, mask, labels))

    def log_table(self, path: Path) -> None:
        """Log a file of numbers; in no folder, as pictures."""
        if self._writer is None:
            return
        text = path.read_text("utf-8")  # now: the file may change while the entry waits
        self.log(lambda run: run.log_text(text, path.name))

    def log_dataset(self, name: str, folder: Path, fingerprint: str, split: str) -> None:
        """Log which data was used: name, folder, SHA-256 of the records, split."""

        def entry(run: "RunWriter") -> None:
            run.log_dataset(name, folder, fingerprint, split)
            run.set_tags({"data.sha256": fingerprint})  # the whole digest

        self.log(entry)

    def log_model(self, path: Path, channels: int, backend: str) -> None:
        """Log a saved model with signature and requirements, and the MD5 of its file."""

        def log_once(run: "RunWriter") -> None:
            # A kill after this and before the training's end leaves a model that was logged.
            if run.tags().get("model.md5") != files.md5(path):
                run.log_model(path, channels, backend)

        # Two entries: if only the second fails, the model is not logged twice.
        self.log(log_once)
        self.log(lambda run: run.set_tags({"model.md5": files.md5(path)}))


@contextmanager
def open_run(
    kind: str,
    key: str,
    table: str,
    settings: Mapping[str, Any],
    disabled: bool = False,
    resume: str | None = None,
) -> Iterator[Run]:
    """Open a run named `KIND KEY` in the experiment `table`; an exception marks it failed.

    Args:
        kind: `train` or `evaluate`.
        key: the model's key in the table file.
        table: the table's name.
        settings: everything that determines the result, nested; logged as parameters `a.b.c`.
        disabled: log nothing, as without MLflow.
        resume: the id of the run to resume; a new run where the store does not have it.

    Raises:
        StoreError: the store cannot be opened; raised before the training starts.
    """
    if disabled or not connection.installed():
        yield Run()
        return
    store = connection.open_store()
    parent = parents(os.environ).get(table)
    tags = {"fcn.kind": kind, "fcn.key": key, "dvc.stage": os.environ.get("DVC_STAGE", "")}
    tags = {name: value for name, value in (tags | git.tags()).items() if value}
    last_steps: dict[str, int] = {}
    if resume is not None and not store.has_run(table, resume):
        messages.say(f"warning: MLflow no longer has the run {resume}; a new run starts")
        resume = None
    if resume is None:
        writer = store.start_run(table, f"{kind} {key}", tags, parent, kind == "train")
        writer.log_params(dict(_flatten(settings)))
    else:
        last_steps = store.last_steps(resume)
        writer = store.resume_run(resume, tags, parent, kind == "train")
    run, status = Run(writer, last_steps), "FAILED"
    try:
        yield run
        status = "FINISHED"
    finally:
        run.end(status)


def parents(env: Mapping[str, str]) -> dict[str, str]:
    """Return the parent run of each table, from the environment of a stage."""
    return dict(part.split(":") for part in env.get(PARENTS, "").split())


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
