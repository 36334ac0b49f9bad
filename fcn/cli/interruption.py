"""What an interrupted command reports: the files that it wrote, and where a training continues."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

TRAININGS = ("train", "backbone")
"""The stages that write checkpoints."""
Stamps = Mapping[Path, tuple[int, int] | None]
"""Inode and time of the last change of a file or folder; None where there is none."""


def read_stamps(arguments: Iterable[Any]) -> Stamps:
    """Return the stamp of every path among the arguments of a command."""
    return {path: _stamp(path) for path in arguments if isinstance(path, Path)}


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def describe(command: str, key: Any, before: Stamps) -> str:
    """Return what an interrupted command has done, and what the next run does.

    Args:
        command: its name.
        key: the entry that a stage works on, if it is a stage.
        before: the stamps of its paths when it started. What a command writes appears complete or
            not at all, so a path that has changed is complete.
    """
    if command in TRAININGS:
        from fcn.training import checkpoints

        folder = checkpoints.ROOT / str(key)
        steps = [int(path.name.removeprefix("step-")) for path in folder.glob("*/step-*")]
        if steps:
            return f"run again: continues at step {max(steps)}"
        if command == "train" or folder.is_dir():  # `backbone` may only convert weights.
            return "run again: starts from step 0"
    if command == "download":
        return "run again: complete files are kept, the download resumes"
    written = [str(path) for path, stamp in before.items() if _stamp(path) not in (stamp, None)]
    if written:
        return f"written: {', '.join(written)}; run again for the rest"
    return "nothing was written" if before else ""
