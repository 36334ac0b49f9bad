"""Reading DVC's graph and status."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.dvcfile import Lockfile

from flows.pipeline import graph

STAGES = """
  prepare: {cmd: cp params.yaml a, params: [x], outs: [a], meta: {retries: 2, timeout: 3600}}
  train:
    foreach: [digits-fcn32s, digits-fcn16s]
    do: {cmd: "cp a ${item}", deps: [a], outs: ["${item}"]}
  table:
    foreach: [digits]
    do: {cmd: "cp ${item}-fcn16s ${item}.md", deps: ["${item}-fcn16s"], outs: ["${item}.md"]}
  other: {cmd: touch o, deps: [params.yaml], outs: [o]}
"""
Pipeline = Callable[..., None]
ROOT = Path(__file__).parents[3]


def names(*targets: str) -> set[str]:
    return {stage.name for stage in graph.read(targets)}


def dvc(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments], check=True, capture_output=True)


def test_stages_come_after_their_upstream(pipeline: Pipeline) -> None:
    pipeline(STAGES)
    stages = graph.read()
    assert {stage.name: stage.upstream for stage in stages} == {
        "prepare": (),
        "train@digits-fcn32s": ("prepare",),
        "train@digits-fcn16s": ("prepare",),
        "table@digits": ("train@digits-fcn16s",),
        "other": (),
    }
    order = [stage.name for stage in stages]
    assert all(
        order.index(up) < order.index(stage.name) for stage in stages for up in stage.upstream
    )
    assert next(stage.outs for stage in stages if stage.name == "table@digits") == ("digits.md",)


def test_targets_are_selected_as_by_dvc_repro(pipeline: Pipeline) -> None:
    pipeline(STAGES)
    assert names("train@digits-fcn16s") == {"prepare", "train@digits-fcn16s"}
    assert names("train") == {"prepare", "train@digits-fcn32s", "train@digits-fcn16s"}
    assert names("table", "other") == {"prepare", "train@digits-fcn16s", "table@digits", "other"}


def test_an_unknown_target_is_refused_with_the_nearest_names(pipeline: Pipeline) -> None:
    pipeline(STAGES)
    with pytest.raises(ValueError, match=r"'train@digits-fcn61s'.*train@digits-fcn16s"):
        graph.read(["train@digits-fcn61s"])
    with pytest.raises(graph.GraphError, match=r"'zzz'.*other, prepare, table, train"):
        graph.read(["zzz"])


def test_only_stages_downstream_of_a_change_may_run(pipeline: Pipeline) -> None:
    pipeline(STAGES, "x: 1\n")
    assert graph.may_run(graph.read()) == names()
    dvc("repro")
    assert graph.may_run(graph.read()) == frozenset()
    Path("digits-fcn16s").unlink()
    stages = {stage.name: stage for stage in graph.read()}
    assert stages["train@digits-fcn16s"].changes == ("out digits-fcn16s deleted",)
    assert stages["train@digits-fcn16s"].changed
    assert not stages["prepare"].changed
    assert graph.may_run([*stages.values()]) == {"train@digits-fcn16s", "table@digits"}


def test_a_prepared_process_imports_little_when_it_reads_the_graph(pipeline: Pipeline) -> None:
    pipeline(STAGES)
    script = """
import sys
from flows.pipeline import graph
graph.import_dvc()
before = set(sys.modules)
graph.read()
print(*{name.partition(".")[0] for name in set(sys.modules) - before})
"""
    command = [sys.executable, "-c", script]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert "networkx" not in done.stdout.split()


def test_preparing_outside_of_a_project_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    graph.import_dvc()


@pytest.mark.parametrize("targets", [(), ("train", "table@digits")])
def test_dvc_lock_is_read_once(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, targets: tuple[str, ...]
) -> None:
    """With many tables it has thousands of lines, and each reading takes a fifth of a second."""
    pipeline(STAGES)
    dvc("repro")
    read_by_dvc: list[Lockfile] = []
    load = Lockfile.load

    def counting(lock: Lockfile) -> object:
        read_by_dvc.append(lock)
        return load(lock)

    monkeypatch.setattr(Lockfile, "load", counting)
    assert graph.may_run(graph.read(targets)) == frozenset()
    assert len(read_by_dvc) == 1


def test_changes_are_described_in_one_line(pipeline: Pipeline) -> None:
    pipeline(STAGES)
    dvc("repro", "prepare")
    pipeline(STAGES.replace("cp params.yaml a", "cp  params.yaml a"), "x: 2\n")
    (prepare,) = graph.read(["prepare"])
    assert prepare.reason == "dep params.yaml: x modified; changed command"
    many = graph.Stage("s", (), (), tuple("abcde"), False, 0, 0, None)
    assert many.reason == "a; b; c; and 2 more"


def test_a_frozen_stage_selects_nothing_and_passes_nothing_on(
    pipeline: Pipeline,
) -> None:
    frozen = STAGES.replace("deps: [a], outs", "frozen: true, deps: [a], outs")
    pipeline(STAGES)
    dvc("repro")
    pipeline(frozen, "x: 2\n")
    assert names("table") == {"train@digits-fcn16s", "table@digits"}
    assert graph.may_run(graph.read()) == {"prepare", "other"}


def test_a_file_added_to_dvc_is_a_stage(pipeline: Pipeline) -> None:
    pipeline("  use: {cmd: cp raw.zip u, deps: [raw.zip], outs: [u]}\n")
    Path("raw.zip").write_text("1")
    dvc("add", "raw.zip")
    assert [stage.name for stage in graph.read(["use"])] == ["raw.zip.dvc", "use"]


def test_retries_and_time_out_come_from_meta(pipeline: Pipeline) -> None:
    pipeline(STAGES)
    stages = {stage.name: stage for stage in graph.read()}
    prepare, other = stages["prepare"], stages["other"]
    assert (prepare.retries, prepare.retry_delay, prepare.timeout) == (2, 10, 3600)
    assert (other.retries, other.retry_delay, other.timeout) == (0, 10, None)


@pytest.mark.parametrize(
    "meta",
    [
        "retries: two",
        "retries: -1",
        "retries: true",
        "retries: 1.5",
        "retry_delay: -1",
        "timeout: 0",
        "timeout: 1h",
        "timeout: .nan",
    ],
)
def test_an_invalid_meta_is_refused(pipeline: Pipeline, meta: str) -> None:
    pipeline(STAGES.replace("retries: 2, timeout: 3600", meta))
    with pytest.raises(
        graph.GraphError, match=f"stage prepare: meta.{meta.split(':')[0]} is .*allowed"
    ):
        graph.read()


def test_meta_of_other_tools_is_ignored(pipeline: Pipeline) -> None:
    pipeline(STAGES.replace("meta: {retries: 2, timeout: 3600}", "meta: anything"))
    assert names() == names("prepare", "train", "table", "other")


def test_a_pipeline_that_dvc_refuses_is_refused_with_its_message(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipeline("  a: {cmd: 'x ${unknown}'}\n")
    with pytest.raises(graph.GraphError, match="Could not find 'unknown'"):
        graph.read()
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    with pytest.raises(graph.GraphError, match=f"cd {tmp_path}"):
        graph.read()
