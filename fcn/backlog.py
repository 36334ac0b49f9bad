"""What MLflow is told on the way; what its store cannot take now waits until it can."""

import os
import textwrap
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fcn import door

PAUSE_SECONDS = 10.0
"""Between a failure and the next try; ten times as long as the failure took, if that is longer."""
PATIENCE_SECONDS = 60.0
"""How long the end of a run waits for a store that is away: a server starts again in less."""
HTTP_RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


class Backlog:
    """Calls to MLflow in their order. None of them costs the training more than a warning."""

    def __init__(self, mlflow: Any) -> None:
        """Keep the module; None: every call is forgotten."""
        self._mlflow = mlflow
        self._waiting: deque[Callable[[Any], None]] = deque()
        self._again = 0.0  # when the next try is due, while the store is away
        self._refused = False

    def add(self, what: Callable[[Any], None]) -> None:
        """Call `what` with MLflow, after all that waits; later, if its store is away."""
        if self._mlflow is None:
            return
        self._waiting.append(what)
        if time.monotonic() >= self._again:
            self._work_off()

    def end(self) -> None:
        """Wait a while for a store that is away; what it cannot take then is lost, and said so."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._waiting and time.monotonic() < deadline:
            self._work_off()
            if self._waiting:
                time.sleep(0.5)
        if lost := len(self._waiting):
            door.say(
                f"warning: MLflow's store stayed away; {lost} of the things it should know are "
                "lost to it. The numbers are in data/ as well: `dvc metrics show`, `dvc plots show`"
            )
            self._waiting.clear()

    def _work_off(self) -> None:
        while self._waiting:
            began = time.monotonic()
            try:
                with impatient():
                    self._waiting[0](self._mlflow)
            except failures(self._mlflow) as error:
                if _will_pass(error):
                    self._hold(error, began)
                    return
                self._say_refused(error)
            self._waiting.popleft()
        if self._again:
            door.say("MLflow's store is there again, and was told what had waited")
            self._again = 0.0

    def _hold(self, error: Exception, began: float) -> None:
        if not self._again:
            door.say(
                f"warning: MLflow's store is away ({short(error)}); "
                "the training goes on, and what the store should be told waits"
            )
        now = time.monotonic()
        self._again = now + max(PAUSE_SECONDS, 10 * (now - began))

    def _say_refused(self, error: Exception) -> None:
        if not self._refused:
            door.say(f"warning: MLflow could not be told ({short(error)}); going on without it")
        self._refused = True


@contextmanager
def impatient() -> Iterator[None]:
    """One more try within a request: MLflow's seven would hold the training for four minutes."""
    before = os.environ.get(HTTP_RETRIES)
    os.environ.setdefault(HTTP_RETRIES, "1")
    try:
        yield
    finally:
        if before is None:
            del os.environ[HTTP_RETRIES]


def failures(mlflow: Any) -> tuple[type[Exception], ...]:
    """Return what a store raises: not all of SQLAlchemy's errors come wrapped."""
    from sqlalchemy.exc import SQLAlchemyError

    return (mlflow.MlflowException, SQLAlchemyError, OSError)


def _will_pass(error: Exception) -> bool:
    """Whether the store is away, locked or full, rather than refusing what it is told."""
    if hasattr(error, "get_http_status_code"):
        return bool(error.get_http_status_code() >= 500)
    response = getattr(error, "response", None)  # of a picture's upload
    return response is None or response.status_code >= 500


def short(error: Exception) -> str:
    """Return an error's message on one line."""
    return textwrap.shorten(str(error), 200)
