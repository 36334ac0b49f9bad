"""DVC's graph and status, as plain data.

    python -m flows.pipeline.graph [TARGET ...]

prints which stages may have to run, and why.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Annotated, Any

from dvc.exceptions import DvcException
from dvc.repo import Repo, lock_repo
from dvc.repo.graph import build_graph
from typer import Argument

from fcn.cli import command_line
from fcn.common.text import similar
from fcn.runtime import collection

ALWAYS = "always changed"  # DVC's status of a stage that runs every time


class GraphError(ValueError):
    """The pipeline cannot be read; the message names the problem and what is allowed."""


@dataclass(frozen=True)
class Stage:
    """One stage of the pipeline."""

    name: str
    """As `dvc repro` takes it: `train@digits-fcn16s`."""
    upstream: tuple[str, ...]
    """The selected stages whose outputs this one reads."""
    outs: tuple[str, ...]
    """Paths of the files and folders it writes."""
    changes: tuple[str, ...]
    """Its changes in `dvc status`, such as `dep params.yaml: lr modified`."""
    frozen: bool
    """DVC does not run it again when something upstream changes."""
    retries: int
    """How often to retry after a temporary failure (`meta.retries` in dvc.yaml; 0)."""
    retry_delay: float
    """Seconds before the first retry (`meta.retry_delay`; 10); doubled for each further one."""
    timeout: float | None
    """Seconds after which one attempt is ended (`meta.timeout`; none)."""

    @property
    def changed(self) -> bool:
        """Whether DVC finds a difference between dvc.lock and the files."""
        return bool(self.changes)

    @property
    def reason(self) -> str:
        """Why it may have to run, in one line, which names three changes at most."""
        more = f"; and {len(self.changes) - 3} more" if len(self.changes) > 3 else ""
        return "; ".join(self.changes[:3]) + more or "something upstream may change"

    def delay(self, retry: int) -> float:
        """Return the seconds to wait before retry number `retry` (1, 2, …): at most an hour."""
        return min(self.retry_delay * 2.0 ** (retry - 1), 3600.0)


@dataclass(frozen=True)
class Source:
    """Data from outside the pipeline, tracked by a .dvc file, that may have changed."""

    target: str
    """The argument for DVC: the .dvc file of an import, or the path of what a person added."""
    imported: bool
    """From a URL or another repository; otherwise a file or folder that has changed."""


def import_dvc() -> None:
    """Import what DVC imports when it first reads a graph: a fifth of the time of `read`."""
    with suppress(DvcException), Repo():  # `read` reports the error
        build_graph([])


def read(targets: Sequence[str] = ()) -> tuple[Stage, ...]:
    """Read stages from the repository in the current folder, upstream first.

    Args:
        targets: what `dvc repro` takes: names of stages (`train@digits-fcn16s`), of groups
            (`train`), or .dvc files. Everything upstream is included. Empty: all stages.

    Raises:
        GraphError: an unknown target, a wrong `meta`, or a pipeline that DVC refuses.
    """
    try:
        with collection.paused(), Repo() as repo:
            if Path(repo.root_dir) != Path.cwd():
                raise GraphError(
                    f"{Path.cwd()} does not hold .dvc; run flows in the folder that does: "
                    f"cd {repo.root_dir}"
                )
            with lock_repo(repo):  # otherwise DVC reads its files again for the status
                graph = repo.index.graph  # edges go from a stage to its upstream
                selected = _with_ancestors(graph, _find(repo, targets)) if targets else set(graph)
                # Of all stages: DVC would read dvc.lock once more for each name.
                status = repo.status() if selected else {}
    except DvcException as error:
        raise GraphError(f"{error} (run `dvc status` for details)") from error
    order = TopologicalSorter({stage: list(graph.successors(stage)) for stage in graph})
    return tuple(
        Stage(
            name=stage.addressing,
            upstream=tuple(up.addressing for up in graph.successors(stage) if up in selected),
            outs=tuple(str(out) for out in stage.outs),
            changes=tuple(_changes(status.get(stage.addressing, []))),
            frozen=stage.frozen,
            **_retry_settings(stage),
        )
        for stage in order.static_order()
        if stage in selected
    )


def sources() -> tuple[Source, ...]:
    """Return the imports, and what was added with `dvc add` and has changed since.

    Raises:
        GraphError: DVC refuses a .dvc file.
    """
    try:
        with Repo() as repo:
            tracked = [stage for stage in repo.index.stages if stage.is_data_source]
            added = [stage.addressing for stage in tracked if not stage.is_import]
            status = repo.status(added) if added else {}
    except DvcException as error:
        raise GraphError(f"{error} (run `dvc status` for details)") from error
    changed = []
    for stage in tracked:
        changes = _changes(status.get(stage.addressing, []))
        if stage.is_import:
            changed.append(Source(stage.addressing, imported=True))
        elif any(change.endswith(" modified") for change in changes):
            changed.append(Source(str(stage.outs[0]), imported=False))
    return tuple(changed)  # without deleted files: `dvc checkout` restores them


def may_run(stages: Sequence[Stage]) -> frozenset[str]:
    """Return the names of the stages that changed, or are downstream of one that may run."""
    names: set[str] = set()
    for stage in stages:  # upstream first
        if stage.changed or (not stage.frozen and not names.isdisjoint(stage.upstream)):
            names.add(stage.name)
    return frozenset(names)


def require_targets(targets: Sequence[str]) -> None:
    """Check that targets exist, without reading their status.

    Raises:
        GraphError: an unknown target, or a pipeline that DVC refuses.
    """
    try:
        with Repo() as repo:
            list(_find(repo, targets))
    except DvcException as error:
        raise GraphError(f"{error} (run `dvc status` for details)") from error


def _find(repo: Repo, targets: Sequence[str]) -> Iterator[Any]:
    """Yield the stages that the targets name.

    DVC would read its files again for each target; it finds those that are not names of stages.
    """
    for target in targets:
        group = f"{target}@"
        named = [
            stage
            for stage in repo.index.graph
            if stage.addressing == target or stage.addressing.startswith(group)
        ]
        try:
            yield from named or repo.stage.collect(target)
        except DvcException as error:
            names = [stage.addressing for stage in repo.index.graph]
            groups = sorted({name.partition("@")[0] for name in names})
            near = similar(target, [*names, *groups])
            hint = f"did you mean {near!r}?" if near else f"groups in dvc.yaml: {', '.join(groups)}"
            raise GraphError(f"unknown target {target!r}; {hint}") from error


def _with_ancestors(graph: Any, stages: Iterable[Any]) -> set[Any]:
    selected: set[Any] = set()
    waiting = list(stages)
    while waiting:
        stage = waiting.pop()
        if stage not in selected:
            selected.add(stage)
            if not stage.frozen:  # as in `dvc repro`, nothing upstream of a frozen stage runs
                waiting.extend(graph.successors(stage))
    return selected


def _changes(status: Sequence[Any]) -> Iterator[str]:
    for entry in status:
        if isinstance(entry, str):  # "changed command", "always changed"
            yield entry
            continue
        for kind, paths in entry.items():  # "changed deps", "changed outs"
            word = kind.removeprefix("changed ").removesuffix("s")
            for path, change in paths.items():
                if isinstance(change, str):
                    yield f"{word} {path} {change}"
                else:  # the keys of a params file
                    yield from (f"{word} {path}: {key} {how}" for key, how in change.items())


def _retry_settings(stage: Any) -> dict[str, Any]:
    meta = stage.meta if isinstance(stage.meta, dict) else {}  # free-form: others may use it too
    retries = meta.get("retries", 0)
    delay = meta.get("retry_delay", 10)
    timeout: Any = meta.get("timeout")

    def require(fits: bool, key: str, allowed: str) -> None:
        if not fits:
            where = f"dvc.yaml, stage {stage.addressing}: meta.{key}"
            raise GraphError(f"{where} is {meta[key]!r}; allowed: {allowed}")

    number = (int, float)  # compared with `type`, since True is an int
    require(type(retries) is int and retries >= 0, "retries", "a whole number, 0 or more")
    require(type(delay) in number and delay >= 0, "retry_delay", "seconds, 0 or more")
    unlimited = timeout is None
    require(unlimited or (type(timeout) in number and timeout > 0), "timeout", "seconds, above 0")
    return {"retries": retries, "retry_delay": delay, "timeout": timeout}


def main(
    targets: Annotated[
        list[str] | None, Argument(metavar="TARGET", help="As for `dvc repro`. Default: all.")
    ] = None,
) -> None:
    """Print a line for each stage: `clean`, or why it may have to run."""
    stages = read(targets or ())
    names = may_run(stages)
    for stage in stages:
        print(f"{stage.name}: {stage.reason if stage.name in names else 'clean'}")


if __name__ == "__main__":
    command_line.run(main, outlives_parent=True)
