"""Copies of the project in which a flow runs: Git worktrees with the workspace's DVC cache.

    with worktree.making(Path("trials/3f2a"), commit) as copy:
        …                                               # edit files before data is checked out
    code, last = worktree.run(Path("trials/3f2a"), ["table@digits"], log=print)

`git worktree remove --force FOLDER` removes one.
"""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.utils.serialize import dump_yaml, load_yaml

from fcn.common import files
from fcn.runtime import processes
from fcn.settings import dvc_lock
from fcn.tracking import connection
from flows.pipeline import output


@contextmanager
def making(folder: Path, commit: str) -> Iterator[Path]:
    """Give a new worktree of a commit; then fill it with data (`fill`) and move it to `folder`.

    It uses the DVC cache of the current folder. If an error occurs, no worktree is left.

    Raises:
        ValueError: Git refuses.
        DvcException: DVC refuses, also what the block changed.
    """
    aside = folder.with_name(f"{folder.name}.partial")  # an interrupted run may have left it
    if aside.exists():
        git("worktree", "remove", "--force", "--force", str(aside))
    git("worktree", "prune")
    git("worktree", "add", "--quiet", "--detach", str(aside), commit)
    try:
        _share_cache(aside)
        yield aside
        fill(aside)
    except (DvcException, OSError, ValueError):
        git("worktree", "remove", "--force", str(aside))
        raise
    git("worktree", "move", str(aside), str(folder))


def _share_cache(copy: Path) -> None:
    """Give a copy the local DVC settings of the current folder, and its cache."""
    with Repo() as repo:
        local = repo.config.read("local")
        local["cache"] = local.get("cache", {}) | {"dir": repo.cache.local_cache_dir}
    with Repo(str(copy)) as repo, repo.config.edit("local") as config:
        config.update(local)


def fill(copy: Path) -> None:
    """Give a copy the data that is here: what DVC's cache has, and what a person put into place.

    Raises:
        DvcException: DVC refuses the copy's graph.
    """
    _forget_missing_results(copy)
    with Repo(str(copy)) as repo:
        with _without_warnings("dvc_data.index.checkout"):  # one for each forgotten result
            repo.checkout(allow_missing=True, force=True)
        outs = [out for stage in repo.index.stages for out in stage.outs]
        # The workspace's folders in which stages keep what a person put there, such as data/raw.
        missing = [Path(out.def_path) for out in outs if out.persist and not out.exists]
    for path in missing:
        if path.is_dir():
            with files.writing_folder(copy / path) as partial:
                shutil.copytree(path, partial, dirs_exist_ok=True)


@contextmanager
def _without_warnings(name: str) -> Iterator[None]:
    """Let the logger of this name report errors only."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _forget_missing_results(copy: Path) -> None:
    """Remove the entries of dvc.lock whose outputs neither the copy nor the cache has.

    Where an entry fits a stage's inputs, DVC restores the outputs that it names or runs the stage.
    Those of another machine would hide this machine's own, which the run cache has.
    """
    with Repo(str(copy)) as repo:
        missing = {
            stage.name
            for stage in repo.index.stages
            if isinstance(stage, PipelineStage)
            and any(out.use_cache and not out.exists and out.changed_cache() for out in stage.outs)
        }
    path = copy / dvc_lock.LOCK
    lock = load_yaml(path) if path.is_file() else {}
    stages = lock.get("stages", {})
    if not missing.isdisjoint(stages):
        kept = {name: entry for name, entry in stages.items() if name not in missing}
        dump_yaml(path, lock | {"stages": kept})


def run(
    folder: Path, arguments: Sequence[str], log: Callable[[str], None], store: str | None = None
) -> tuple[int, str]:
    """Run the flow `reproduce` in a copy; return its exit code and its last line.

    Args:
        folder: of the copy.
        arguments: of `python -m flows.reproduce`.
        log: called with each line of output as it is written.
        store: the address of the MLflow store; None: a store in the copy.
    """
    env = {name: value for name, value in os.environ.items() if name != connection.URI}
    if store is not None:
        env[connection.URI] = store
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


def git(*arguments: str, env: dict[str, str] | None = None) -> str:
    """Run Git; return its output without the white space around it.

    Raises:
        ValueError: it fails.
    """
    done = subprocess.run(
        ["git", *arguments],
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        message = f"git {' '.join(arguments[:2])}: {done.stderr.strip()}"
        raise ValueError(f"{message}; a copy of the project needs a Git checkout")
    return done.stdout.strip()
