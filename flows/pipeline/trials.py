"""Run the pipeline with other settings in a copy of the workspace; the YAML files stay unchanged.

    folder = trials.prepare(["tables/digits.yaml:models.digits-fcn8s.training.epochs=3"])

A setting is written as for `dvc exp run -S`. The copy is a Git worktree under `trials/`. Its name
is a hash of the files and settings, so that the same command resumes the same run. Its data are
links into the same DVC cache. `git worktree remove --force trials/NAME` removes it.
"""

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dvc.exceptions import DvcException

from flows.pipeline import overrides, worktree
from flows.pipeline.worktree import git

FOLDER = Path("trials")
AUTHOR = {
    # Fixed, so that a commit of the same files has the same hash.
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in {"NAME": "trial", "EMAIL": "trial@localhost", "DATE": "@0 +0000"}.items()
}


def prepare(settings: Sequence[str]) -> Path:
    """Return the copy of the workspace that has these settings; make it if it is missing.

    Raises:
        ValueError: no Git repository, or a wrong setting (`overrides.require_valid`).
    """
    overrides.require_valid(settings)
    commit = _commit_workspace()
    name = hashlib.sha256("\0".join([commit, *sorted(settings)]).encode()).hexdigest()[:12]
    folder = FOLDER / name
    if folder.exists():
        return folder
    try:
        with worktree.making(folder, commit) as copy:
            overrides.apply(settings, copy)
    except (DvcException, OSError) as error:
        raise ValueError(f"the copy for this run: {error.__cause__ or error}") from error
    return folder


def _commit_workspace() -> str:
    """Commit all files of the workspace, tracked or new, to no branch; return the commit."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        git("read-tree", "HEAD", env=index)
        git("add", "--all", env=index)
        tree = git("write-tree", env=index)
    return git("commit-tree", tree, "-p", "HEAD", "-m", "A trial's files", env=AUTHOR)
