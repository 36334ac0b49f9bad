"""Calls to MLflow in their order; calls that its store cannot take now wait until it can."""

import time
from collections.abc import Callable

from fcn.common import messages
from fcn.tracking.connection import StoreError, impatient

PAUSE_SECONDS = 10.0
"""From a failure to the next attempt; ten times as long as the failure took, if that is longer."""
PATIENCE_SECONDS = 60.0
"""How long the end of a run waits for an unavailable store; a server restarts in less."""
FAILURES = 2
"""Failures in a row that mean an unavailable store; one may be the fault of its own call."""
Call = Callable[[], None]


class Backlog:
    """Calls to MLflow in their order. A failure costs the work no more than a warning."""

    def __init__(self) -> None:
        """Start with no call waiting."""
        self._waiting: list[Call] = []
        self._next_attempt = 0.0  # by the monotonic clock, while a call waits
        self._warned_unavailable = self._warned_refused = False

    def add(self, call: Call) -> None:
        """Make a call after all that wait: now, or later if the store is unavailable."""
        self._waiting.append(call)
        if time.monotonic() >= self._next_attempt:
            self._work_off()

    def end(self, seconds: float) -> None:
        """Wait for an unavailable store up to a limit, then drop the calls left and warn."""
        deadline = time.monotonic() + seconds
        if self._waiting and seconds:
            messages.say(f"waiting for MLflow's store, {seconds:.0f} s at most")
        while self._waiting and time.monotonic() < deadline:
            self._work_off()
            if self._waiting:
                time.sleep(0.5)
        if lost := len(self._waiting):
            messages.say(
                f"warning: {lost} entries were not logged to MLflow and are lost there. The "
                "stage's own files have all numbers: `dvc metrics show`, `dvc plots show`"
            )
            self._waiting = []

    def _work_off(self) -> None:
        """Make each call once; stop when the store is unavailable. Failed calls stay in front."""
        began = time.monotonic()
        failed: list[Call] = []
        in_a_row = 0
        left, self._waiting = self._waiting, []
        try:
            while left and in_a_row < FAILURES:
                call = left.pop(0)
                try:
                    with impatient():
                        call()
                except StoreError as error:
                    if not error.unavailable:
                        self._warn_refused(error)
                        continue
                    failed.append(call)
                    in_a_row += 1
                    self._warn_unavailable(error)
                else:
                    in_a_row = 0
        finally:
            self._waiting = [*failed, *left]
        now = time.monotonic()
        pause = max(PAUSE_SECONDS, 10 * (now - began))
        self._next_attempt = now + pause if self._waiting else 0.0
        if self._warned_unavailable and not self._waiting:
            messages.say("MLflow's store is available again; every waiting entry was logged")
            self._warned_unavailable = False

    def _warn_unavailable(self, error: StoreError) -> None:
        if not self._warned_unavailable:
            messages.say(f"warning: MLflow's store is unavailable ({error.reason}); entries wait")
        self._warned_unavailable = True

    def _warn_refused(self, error: StoreError) -> None:
        if not self._warned_refused:
            messages.say(f"warning: MLflow refused an entry ({error.reason}); it is left out")
        self._warned_refused = True
