"""Run the pipeline with other settings in a copy of the workspace; the YAML files stay unchanged.

    folder = trials.prepare(["tables/digits.yaml:models.digits-fcn8s.training.epochs=3"])

A setting is written as for `dvc exp run -S`. The copy is a Git worktree under `trials/`. Its name
is a hash of the files and settings, so that the same command resumes the same run. Its data are
links into the same DVC cache. `git worktree remove --force trials/NAME` removes it.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo

from fcn.runtime import processes
from flows.pipeline import output, overrides

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
    aside = FOLDER / f"{name}.partial"  # an interrupted run may have left it
    if aside.exists():
        _git("worktree", "remove", "--force", "--force", str(aside))
    _git("worktree", "prune")
    _git("worktree", "add", "--quiet", "--detach", str(aside), commit)
    with Repo() as repo:
        local = repo.config.read("local")
        local["cache"] = local.get("cache", {}) | {"dir": repo.cache.local_cache_dir}
    try:
        with Repo(str(aside)) as copy, copy.config.edit("local") as config:
            config.update(local)
        with Repo(str(aside)) as copy:
            overrides.apply(settings, aside)
            copy.checkout(allow_missing=True)
    except (DvcException, OSError) as error:
        _git("worktree", "remove", "--force", str(aside))
        raise ValueError(f"the copy for this run: {error.__cause__ or error}") from error
    _git("worktree", "move", str(aside), str(folder))
    return folder


def run(folder: Path, arguments: Sequence[str], log: Callable[[str], None]) -> tuple[int, str]:
    """Run the flow in the copy; return its exit code and its last line.

    The copy has its own MLflow store: the registry holds only models of committed settings.
    """
    env = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    last = ""
    with processes.start(
        [sys.executable, "-m", "flows.reproduce", *arguments],
        cwd=folder,
        env=env | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as flow:
        assert flow.stdout is not None
        try:
            for line in output.lines(flow.stdout):
                last = line
                log(line)
        finally:
            flow.terminate()
            flow.wait()
    return flow.returncode, last


def _commit_workspace() -> str:
    """Commit all files of the workspace, tracked or new, to no branch; return the commit."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        _git("read-tree", "HEAD", env=index)
        _git("add", "--all", env=index)
        tree = _git("write-tree", env=index)
    return _git("commit-tree", tree, "-p", "HEAD", "-m", "A trial's files", env=AUTHOR)


def _git(*arguments: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        ["git", *arguments],
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"git {arguments[0]}: {done.stderr.strip()}; a trial needs a Git checkout")
    return done.stdout.strip()
