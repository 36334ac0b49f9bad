"""The last commit in a copy, `reproduction/`: its results leave the workspace unchanged.

    with reproduction.hold("night-owl", log=print):
        folder = reproduction.prepare(["table@camvid"])

The copy is a Git worktree with links into the same DVC cache. `git worktree remove --force
reproduction` removes it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.utils.serialize import dump_yaml, load_yaml

from fcn.runtime import locks
from fcn.settings import reader
from fcn.settings.keys import table_of
from flows.pipeline import worktree
from flows.pipeline.worktree import git

FOLDER = Path("reproduction")
LOCK = Path(".dvc/tmp/reproduction.lock")
GRAPH = Path("dvc.yaml")


@contextmanager
def hold(name: str, log: Callable[[str], None]) -> Iterator[None]:
    """Hold the copy's lock: another reproduction of this workspace waits."""
    with locks.hold(LOCK, name, lambda holder: log(f"waiting for {holder}, which reproduces")):
        yield


def prepare(targets: Sequence[str] = ()) -> Path:
    """Return the copy at the last commit, with the tables of the targets active.

    A copy of the same commit is used as it is. One of another commit is replaced; DVC's run cache
    then restores the stages that did not change.

    Raises:
        ValueError: no Git repository, no commit, DVC refuses the graph, or the folder is not a
            worktree of the repository.
    """
    commit = git("rev-parse", "HEAD")
    if FOLDER.exists() and _commit_of_copy() != commit:
        git("worktree", "remove", "--force", "--force", str(FOLDER))
    try:
        if not FOLDER.exists():
            with worktree.making(FOLDER, commit) as copy:
                _activate(targets, copy)
        elif _activate(targets, FOLDER):
            worktree.fill(FOLDER)
    except DvcException as error:
        raise ValueError(f"{FOLDER}: {error}") from error
    return FOLDER


def uncommitted() -> list[str]:
    """Return the tracked files of the workspace that differ from the last commit."""
    return git("diff", "--name-only", "HEAD").splitlines()


def tables_of(targets: Sequence[str], folder: Path) -> list[str]:
    """Return the tables that the targets write: no other has new results in the copy."""
    if not targets or "table" in targets:
        return reader.active(folder)
    prefix = "table@"
    return [target.removeprefix(prefix) for target in targets if target.startswith(prefix)]


def _commit_of_copy() -> str:
    try:
        top = git("-C", str(FOLDER), "rev-parse", "--show-toplevel")
        if Path(top) == FOLDER.resolve():
            return git("-C", str(FOLDER), "rev-parse", "HEAD")
        problem = "it belongs to the repository around it"
    except ValueError as error:
        problem = str(error)
    raise ValueError(
        f"{FOLDER}/ is not a worktree that this command made ({problem}); move it away, or remove "
        f"it: rm -rf {FOLDER}"
    )


def _activate(targets: Sequence[str], copy: Path) -> bool:
    """Add the targets' tables to dvc.yaml in the copy; return whether there are any."""
    git("-C", str(copy), "checkout", "--quiet", "HEAD", "--", str(GRAPH))
    tables = {table_of(target.partition("@")[2]) for target in targets}
    paths = [reader.TABLES / f"{table}.yaml" for table in sorted(tables - {*reader.active(copy)})]
    # DVC reports the others as unknown targets.
    added = [path.as_posix() for path in paths if (copy / path).is_file()]
    if added:
        graph = load_yaml(copy / GRAPH)
        dump_yaml(copy / GRAPH, graph | {"vars": [*graph.get("vars", []), *added]})
    return bool(added)
