"""What MLflow is told on the way; what its store cannot take now waits until it can."""

import os
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fcn.common import messages

PAUSE_SECONDS = 10.0
"""Between a failure and the next try; ten times as long as the failure took, if that is longer."""
PATIENCE_SECONDS = 60.0
"""How long the end of a run waits for a store that is away: a server starts again in less."""
HASTE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""MLflow's own seven tries hold a training for four minutes where nobody answers, and each takes
two minutes where somebody listens and says nothing."""
AWAY = 2
"""Failures in a row after which the store is away: of one, only what was told may be to blame."""
Call = Callable[[Any], None]


class Backlog:
    """Calls to MLflow in their order. None of them costs the work more than a warning."""

    def __init__(self, mlflow: Any) -> None:
        """Keep the module; None: every call is forgotten."""
        self._mlflow = mlflow
        self._waiting: list[Call] = []
        self._due = 0.0  # when the next try is, while something waits
        self._held = self._refused = False

    def add(self, what: Call) -> None:
        """Call `what` with MLflow, after all that waits; later, if its store is away."""
        if self._mlflow is None:
            return
        self._waiting.append(what)
        if time.monotonic() >= self._due:
            self._work_off()

    def end(self, seconds: float) -> None:
        """Wait a while for a store that is away; what it cannot take then is lost, and said so."""
        deadline = time.monotonic() + seconds
        if self._waiting and seconds:
            messages.say(f"waiting for MLflow's store, {seconds:.0f} s at most")
        while self._waiting and time.monotonic() < deadline:
            self._work_off()
            if self._waiting:
                time.sleep(0.5)
        if lost := len(self._waiting):
            messages.say(
                f"warning: {lost} of the things that MLflow should know are lost to it. What the "
                "stage writes is not: `dvc metrics show`, `dvc plots show`"
            )
            self._waiting = []

    def _work_off(self) -> None:
        """Make each call once; stop where the store is away. What failed goes before the rest."""
        began, failed, in_a_row = time.monotonic(), [], 0
        left, self._waiting = self._waiting, []
        try:
            while left and in_a_row < AWAY:
                call = left.pop(0)
                try:
                    with impatient():
                        call(self._mlflow)
                except failures(self._mlflow) as error:
                    if not _will_pass(error):
                        self._say_refused(error)
                        continue
                    failed.append(call)
                    in_a_row += 1
                    self._say_held(error)
                else:
                    in_a_row = 0
        finally:
            self._waiting = [*failed, *left]
        now = time.monotonic()
        self._due = now + max(PAUSE_SECONDS, 10 * (now - began)) if self._waiting else 0.0
        if self._held and not self._waiting:
            messages.say("MLflow's store is there again; nothing waits for it any more")
            self._held = False

    def _say_held(self, error: Exception) -> None:
        if not self._held:
            messages.say(f"warning: MLflow's store is away ({short(error)}); what it is told waits")
        self._held = True

    def _say_refused(self, error: Exception) -> None:
        if not self._refused:
            messages.say(f"warning: MLflow could not be told ({short(error)}); that is left out")
        self._refused = True


@contextmanager
def impatient(**more: str) -> Iterator[None]:
    """Let requests to MLflow fail soon; what a person has set, also of `more`, stays."""
    mine = {name: value for name, value in (HASTE | more).items() if name not in os.environ}
    os.environ.update(mine)
    try:
        yield
    finally:
        for name in mine:
            del os.environ[name]


def failures(mlflow: Any) -> tuple[type[Exception], ...]:
    """Return what a store raises: not all of SQLAlchemy's errors come wrapped."""
    from sqlalchemy.exc import SQLAlchemyError

    return (mlflow.MlflowException, SQLAlchemyError, OSError)


def _will_pass(error: Exception) -> bool:
    """Whether the store is away, locked or full, rather than refusing what it is told."""
    if hasattr(error, "get_http_status_code"):
        return bool(error.get_http_status_code() >= 500)
    if isinstance(error, FileNotFoundError):  # what should be uploaded is gone
        return False
    response = getattr(error, "response", None)  # of a picture's upload
    return response is None or response.status_code >= 500


def short(error: Exception) -> str:
    """Return an error's message on one line."""
    return textwrap.shorten(str(error), 200)
