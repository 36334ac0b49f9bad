"""What the last commit of a folder contains, and which files differ from it."""

import subprocess
from collections.abc import Sequence
from pathlib import Path


def commit(root: Path = Path()) -> str | None:
    """Return the last commit; None without Git, a repository or a commit."""
    done = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    return None if done is None else done.decode().strip()


def read(path: str, root: Path = Path()) -> bytes | None:
    """Return a file's content in the last commit; None if the commit has no such file."""
    return _git(root, "show", f"HEAD:./{path}")


def changed(paths: Sequence[str], root: Path = Path()) -> list[str]:
    """Return the files under `paths` that differ from the last commit or are new to Git."""
    status = _git(root, "status", "--porcelain", "-z", "-uall", "--no-renames", "--", *paths)
    return [entry[3:] for entry in (status or b"").decode().split("\0") if entry]


def _git(root: Path, *arguments: str) -> bytes | None:
    """Return the output of Git, None if it fails."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout
