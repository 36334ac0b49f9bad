"""Predict claimed pictures in a child process and move them to `done` or `failed`."""

import itertools
import json
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fcn.runtime import processes

ROOT = Path(__file__).parents[2]
REPORT, REASON = ".report.json", "reason.txt"
Counts = Counter[str]
"""How many pictures are `done` and how many `failed`."""
Log = logging.Logger | logging.LoggerAdapter[Any]


def predict(pictures: Sequence[Path], claims: Path, model: str, log: Log) -> Counts:
    """Predict the pictures, move each to `done` or `failed`, and return the counts.

    A child that ends without a report may have crashed on one picture: then each is tried alone.

    Args:
        pictures: claimed ones, in `claims`.
        claims: this run's folder.
        model: as for `python -m fcn predict --model`.
        log: gets the name of the model, and a warning if the child ended without a report.

    Raises:
        RuntimeError: the command could not start its work, for instance without a model. The
            pictures stay claimed.
    """
    report = claims / REPORT
    report.unlink(missing_ok=True)
    outbox = claims.parent.parent
    code, lines = _run(pictures, model, report)
    if report.is_file():
        content = json.loads(report.read_text("utf-8"))
        log.info("model %s", content["model"])
        reasons = content["skipped"]
        return Counts(_move_on(picture, reasons.get(str(picture)), outbox) for picture in pictures)
    if code in (1, 2):
        raise RuntimeError("\n".join(lines[-3:]))
    if len(pictures) > 1:
        log.warning("predict ended with exit code %s; trying the pictures one by one", code)
        return sum((predict([picture], claims, model, log) for picture in pictures), Counts())
    reason = "\n".join([f"the command ended with exit code {code}", *lines[-5:]])
    return Counts([_move_on(pictures[0], reason, outbox)])


def _run(pictures: Sequence[Path], model: str, report: Path) -> tuple[int, list[str]]:
    """Run `python -m fcn predict`; return its exit code and its output."""
    command = [sys.executable, "-m", "fcn", "predict", *map(str, pictures), "--beside"]
    child = processes.start(
        [*command, "--model", model, "--report", str(report)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert child.stdout is not None
    with child:
        try:
            lines = [line.decode(errors="replace").rstrip() for line in child.stdout]
            return child.wait(), lines
        finally:
            child.terminate()


def _move_on(picture: Path, reason: str | None, outbox: Path) -> str:
    """Move a picture's folder to `done` or `failed`, numbered if the name is taken; return which.

    Args:
        picture: in its own folder.
        reason: why it failed; None or empty if it is done.
        outbox: with the folders `done` and `failed`.
    """
    outcome = "failed" if reason else "done"
    if reason:
        (picture.parent / REASON).write_text(f"{reason}\n", "utf-8")
    for number in itertools.count(1):
        suffix = f"-{number}" if number > 1 else ""
        target = outbox / outcome / f"{picture.stem}{suffix}{picture.suffix}"
        try:
            picture.parent.rename(target)  # fails if the target is not empty
        except OSError:
            if not target.exists():
                raise
        else:
            break
    return outcome
