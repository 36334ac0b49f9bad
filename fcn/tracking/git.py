"""The Git commit of the code that runs."""

import subprocess
from dataclasses import dataclass

from fcn.tracking import connection

CHECKOUT = (".git", "dvc.yaml")
"""A checkout of this code has the first, within a larger repository the second; an installed
package has neither, and a Git repository around it says nothing about it."""
RESULTS = (":!data", ":!dvc.lock")
"""A run writes data/ and dvc.lock; they do not change the code."""
CODE = ("fcn", "stages", "flows", "tables")
"""Where a new file counts: a run may import it, or read it as settings."""


@dataclass(frozen=True)
class Commit:
    """A Git commit, and whether the code or the settings may differ from it."""

    digest: str
    dirty: bool
    """Whether a tracked file has changed, outside data/ and dvc.lock, or `CODE` has a new file that
    Git does not ignore. Other new files, such as notes and pictures, do not count."""

    def __str__(self) -> str:
        """Return the digest and whether there are changes."""
        return f"{self.digest} with changes" if self.dirty else self.digest

    @property
    def tags(self) -> dict[str, str]:
        """The tags of MLflow's runs."""
        return {"git.commit": self.digest, "git.dirty": str(self.dirty).lower()}


def commit() -> Commit | None:
    """Return the commit of the project's folder; None outside a Git checkout."""
    if not any((connection.ROOT / mark).exists() for mark in CHECKOUT):
        return None
    status = ["status", "--porcelain=v2", "--branch", "--no-ahead-behind", "--untracked-files=no"]
    lines = _git(*status, "--", ".", *RESULTS)
    branch = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    digest = branch.get("branch.oid", "(initial)")
    if digest == "(initial)":
        return None
    changed = any(not line.startswith("# ") for line in lines)
    dirty = changed or bool(_git("ls-files", "--others", "--exclude-standard", "--", *CODE))
    return Commit(digest, dirty)


def _git(*arguments: str) -> list[str]:
    """Return the lines that a Git command prints in the project's folder; none if it fails."""
    done = subprocess.run(
        ["git", *arguments], cwd=connection.ROOT, capture_output=True, text=True, check=False
    )
    return [] if done.returncode else done.stdout.splitlines()


def tags() -> dict[str, str]:
    """Return the tags of the commit; empty outside a Git checkout."""
    present = commit()
    return present.tags if present else {}
