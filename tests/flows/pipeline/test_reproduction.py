"""The copy in which the last commit is reproduced."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.repo import Repo

from flows.pipeline import reproduction

STAGES = """
  download:
    cmd: mkdir -p raw; test -e raw/here || echo downloaded > raw/here
    params: [source]
    outs: [{raw: {persist: true}}]
  train: {cmd: 'echo $MACHINE > model', deps: [raw], params: [x], outs: [model]}
  evaluate:
    cmd: cat model other > details; cp details metrics
    deps: [model, other]
    outs: [details]
    metrics: [{metrics: {cache: false}}]
"""
OUTS = ("raw", "model", "details")


@pytest.fixture
def committed(pipeline: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh clone: the results of another machine are committed, and no data is here."""
    pipeline(STAGES, "source: 1\nx: 1\n")
    Path(".gitignore").write_text("reproduction/\n")
    Path(".dvcignore").write_text("reproduction\n")
    Path("other").write_text("1\n")
    for name in ("email", "name"):
        git("config", f"user.{name}", "test")
    monkeypatch.setenv("MACHINE", "theirs")
    run(Path())
    commit()
    monkeypatch.setenv("MACHINE", "mine")
    with Repo() as repo:
        subprocess.run(["rm", "-rf", repo.cache.local_cache_dir, *OUTS], check=True)


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def commit() -> None:
    git("add", "--all")
    git("commit", "--quiet", "--message", "change")


def run(folder: Path) -> set[str]:
    """Run everything in a folder; return the names of the stages whose command ran."""
    command = [sys.executable, "-m", "dvc", "repro"]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return {line.split("'")[1] for line in done.splitlines() if line.startswith("Running stage")}


@pytest.mark.usefixtures("committed")
def test_missing_results_are_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    reproduction.prepare()
    assert [record.getMessage() for record in caplog.records if record.levelname != "INFO"] == []


@pytest.mark.usefixtures("committed")
def test_the_workspace_stays_as_it_was() -> None:
    before = {path: path.read_bytes() for path in Path().glob("*") if path.is_file()}
    folder = reproduction.prepare()
    assert run(folder) == {"download", "train", "evaluate"}
    assert git("status", "--porcelain") == ""
    assert {path: path.read_bytes() for path in Path().glob("*") if path.is_file()} == before
    assert (folder / "metrics").read_text() == "mine\n1\n"
    assert not any(Path(out).exists() for out in OUTS)


@pytest.mark.usefixtures("committed")
def test_a_copy_of_the_same_commit_is_used_as_it_is() -> None:
    folder = reproduction.prepare()
    run(folder)
    (folder / "marker").touch()
    assert reproduction.prepare() == folder
    assert (folder / "marker").exists()
    assert run(folder) == set()
    assert "mine" in (folder / "model").read_text()


@pytest.mark.usefixtures("committed")
def test_at_another_commit_unchanged_stages_come_from_the_run_cache() -> None:
    """Even though dvc.lock of the commit names another machine's results for the same inputs."""
    run(reproduction.prepare())
    Path("other").write_text("2\n")
    commit()
    folder = reproduction.prepare()
    assert run(folder) == {"evaluate"}
    assert (folder / "metrics").read_text() == "mine\n2\n"
    assert git("-C", str(folder), "rev-parse", "HEAD") == git("rev-parse", "HEAD")


@pytest.mark.usefixtures("committed")
def test_results_in_the_cache_are_checked_out() -> None:
    run(Path())
    commit()
    folder = reproduction.prepare()
    assert run(folder) == set()
    assert (folder / "details").read_text() == "mine\n1\n"


@pytest.mark.usefixtures("committed")
def test_dvc_lock_of_the_copy_brings_its_results_into_the_workspace() -> None:
    folder = reproduction.prepare()
    run(folder)
    shutil.copy(folder / "dvc.lock", "dvc.lock")
    subprocess.run([sys.executable, "-m", "dvc", "checkout"], check=True)
    assert run(Path()) == set()
    assert Path("metrics").read_text() == "mine\n1\n"
    assert git("status", "--porcelain").split() == ["M", "dvc.lock", "M", "metrics"]


@pytest.mark.usefixtures("committed")
def test_raw_data_that_a_person_put_there_is_copied() -> None:
    Path("raw").mkdir()
    Path("raw/here").write_text("put there by hand\n")
    folder = reproduction.prepare()
    run(folder)
    assert (folder / "raw/here").read_text() == "put there by hand\n"
    (folder / "raw/here").unlink()
    assert Path("raw/here").exists()


@pytest.mark.usefixtures("committed")
def test_changes_that_are_not_committed_are_named_and_not_reproduced() -> None:
    assert reproduction.uncommitted() == []
    Path("other").write_text("2\n")
    Path("untracked").write_text("u\n")
    assert reproduction.uncommitted() == ["other"]
    folder = reproduction.prepare()
    assert (folder / "other").read_text() == "1\n"
    assert not (folder / "untracked").exists()


@pytest.mark.usefixtures("committed")
def test_the_table_of_a_target_is_active_in_the_copy_only() -> None:
    Path("tables").mkdir()
    for table in ("a", "b"):
        Path(f"tables/{table}.yaml").write_text(f"{table}: 1\n")
    text = "vars: [tables/a.yaml]\n" + Path("dvc.yaml").read_text()
    Path("dvc.yaml").write_text(text)
    commit()
    folder = reproduction.prepare(["table@b", "train@a-x", "table@unknown"])
    assert reproduction.reader.active(folder) == ["a", "b"]
    assert reproduction.reader.active() == ["a"]
    reproduction.prepare(["train"])
    assert (folder / "dvc.yaml").read_text() == text


def test_only_tables_among_the_targets_are_compared(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("vars: [tables/a.yaml, tables/b.yaml]\n")
    assert reproduction.tables_of([], tmp_path) == ["a", "b"]
    assert reproduction.tables_of(["table"], tmp_path) == ["a", "b"]
    assert reproduction.tables_of(["table@b", "train@a-x"], tmp_path) == ["b"]
    assert reproduction.tables_of(["train"], tmp_path) == []


@pytest.mark.usefixtures("committed")
def test_a_folder_that_is_no_worktree_is_not_touched() -> None:
    Path("reproduction").mkdir()
    Path("reproduction/notes").write_text("mine\n")
    with pytest.raises(ValueError, match="not a worktree that this command made"):
        reproduction.prepare()
    assert Path("reproduction/notes").exists()


def test_without_a_commit_it_is_refused(pipeline: Callable[..., None]) -> None:
    pipeline(STAGES)
    with pytest.raises(ValueError, match="needs a Git checkout"):
        reproduction.prepare()
