"""A progress bar in Prefect's pages for one stage, from the steps in the stage's output."""

import re
from collections.abc import Callable
from typing import Any

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact

STEP = re.compile(r"\bstep (\d+)/(\d+)\b")


def artifact_key(name: str) -> str:
    """Return a stage's name in the characters that Prefect allows in an artifact's key."""
    return re.sub("[^a-z0-9]+", "-", name.lower())


class ProgressBar:
    """Logs the lines of one stage and shows its progress."""

    def __init__(self, stage: str, log: Callable[[str], None]) -> None:
        """Show nothing before the first step."""
        self._stage, self._log, self._failed = stage, log, False
        self._id: Any = None

    def __call__(self, line: str) -> None:
        """Log a line, and move the bar if the line names a step.

        When the server cannot be reached, the stage continues without a bar.
        """
        self._log(line)
        step = STEP.search(line)
        if step is None or self._failed:
            return
        percent = 100 * int(step[1]) / int(step[2])
        try:
            if self._id is None:
                self._id = create_progress_artifact(
                    percent, f"progress-{artifact_key(self._stage)}", description=line
                )
            else:
                update_progress_artifact(self._id, percent, description=line)
        except httpx.HTTPError as error:
            self._failed = True
            self._log(f"Prefect's server failed ({error}); continuing without a progress bar")
