"""The Git commit of the code that runs."""

import subprocess
from dataclasses import dataclass

from fcn.tracking import connection

CHECKOUT = (".git", "dvc.yaml")
"""A checkout of this code has the first, within a larger repository the second; an installed
package has neither, and a Git repository around it says nothing about it."""
PATHS = (".", ":!data", ":!dvc.lock")
"""Compared with the commit. A run writes data/ and dvc.lock; they do not change the code."""


@dataclass(frozen=True)
class Commit:
    """A Git commit, and whether files differ from it."""

    digest: str
    dirty: bool

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
    done = subprocess.run(
        ["git", "status", "--porcelain=v2", "--branch", "--no-ahead-behind", "--", *PATHS],
        cwd=connection.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    branch = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    digest = branch.get("branch.oid", "(initial)")
    if done.returncode or digest == "(initial)":
        return None
    return Commit(digest, dirty=any(not line.startswith("# ") for line in lines))


def tags() -> dict[str, str]:
    """Return the tags of the commit; empty outside a Git checkout."""
    present = commit()
    return present.tags if present else {}
