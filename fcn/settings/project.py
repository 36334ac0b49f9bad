"""The project's folder: the current one or one above it, found as Git finds its own."""

from pathlib import Path

MARKS = ("dvc.yaml", "params.yaml", "tables")
"""What a project's folder holds. Other projects with DVC have the first two as well."""


def find() -> Path | None:
    """Return the project's folder, relative to the current one if it is that; None outside one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if all((folder / mark).exists() for mark in MARKS):
            return Path() if folder == here else folder
    return None


def require(purpose: str) -> Path:
    """Return the project's folder.

    Args:
        purpose: what needs it, the first words of the message.

    Raises:
        ValueError: the current folder is in no project.
    """
    root = find()
    if root is None:
        raise ValueError(
            f"{purpose} needs a project, but neither {Path.cwd()} nor a folder above it holds "
            f"{', '.join(MARKS[:-1])} and {MARKS[-1]}/; run it in a checkout of fcn-line"
        )
    return root
