"""`make reproduce` where results are committed: the copy, the verdict, the workspace."""

import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from fcn.audit import explain
from fcn.report.table import counts
from tests.pipeline.conftest import Project

COUNTS = Path("data/tables/digits.counts.parquet")


@pytest.fixture(scope="module")
def project(by_flow: Project, server: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("reproduced") / "project"
    shutil.copytree(by_flow.root, root)
    project = Project(root, server)
    commit(project)
    return project


def commit(project: Project) -> str:
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", "change")
    return project.run("git", "rev-parse", "HEAD").stdout.strip()


def verify(project: Project, *arguments: str) -> CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.reproduce", "--verify", *arguments]
    return project.run(*command, check=False)


def status(project: Project) -> list[str]:
    return project.run("git", "status", "--porcelain").stdout.splitlines()


def test_the_same_machine_gives_the_same_bytes_and_the_workspace_stays_as_it_was(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.edit("prefect.yaml", "#", "# A change,")
    before = project.outs()
    done = verify(project)
    assert done.returncode == 0, done.stdout
    assert "1 changed file(s) are not part of the last commit" in done.stdout
    assert "prefect.yaml" in done.stdout
    assert "# digits: the same bytes" in done.stdout
    assert status(project) == [" M prefect.yaml"]
    assert project.outs() == before
    copy = project.root / "reproduction"
    assert "the same bytes" in (copy / "verdict.md").read_text("utf-8")
    assert Project(copy).outs() == before
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project.root / 'mlflow.db'}")
    links = list(explain.trace("digits", "digits-fcn8s", "mean_iou", copy))
    assert [link for link in links if link.problem] == []


def test_a_second_run_has_nothing_to_do(project: Project) -> None:
    (project.root / "reproduction/marker").touch()
    done = verify(project)
    assert done.returncode == 0, done.stdout
    summary = next(line for line in done.stdout.splitlines() if "cached 13" in line)
    assert "ran" not in summary
    assert (project.root / "reproduction/marker").exists()


def test_other_counts_in_the_commit_are_not_reproduced(project: Project) -> None:
    """The evaluation changes as well, so that there is something to run and to log."""
    rows = counts.read((project.root / COUNTS).read_bytes(), str(COUNTS))
    changed = rows["digits-fcn8s"]
    right = changed.confusion + 10_000 * np.eye(changed.confusion.shape[1], dtype=np.int64)
    counts.write(project.root / COUNTS, rows | {"digits-fcn8s": replace(changed, confusion=right)})
    project.edit("tables/digits.yaml", "pictures: 2}", "pictures: 3}")
    head = commit(project)
    done = verify(project)
    assert done.returncode == 1
    assert "# digits: not reproduced" in done.stdout
    assert "FCN-8s, mean IoU: not reproduced: " in done.stdout
    assert "FCN-16s: the same bytes" in done.stdout
    assert "ran 4 (evaluate@" in done.stdout
    assert status(project) == []
    copy = project.root / "reproduction"
    assert not (copy / "marker").exists()
    assert not (copy / "mlflow.db").exists()
    with closing(sqlite3.connect(project.root / "mlflow.db")) as store:
        query = "select count(*) from tags where key = 'git.commit' and value = ?"
        assert store.execute(query, [head]).fetchone()[0] == 4  # three evaluations, their parent


def test_an_unknown_target_or_other_settings_are_refused(project: Project) -> None:
    done = verify(project, "tabel@digits")
    assert done.returncode == 1
    assert "unknown target 'tabel@digits'; did you mean 'table@digits'?" in done.stdout
    done = verify(project, "--set", "params.yaml:seed=1")
    assert done.returncode == 1
    assert "error: --verify runs the last commit as it is" in done.stdout
