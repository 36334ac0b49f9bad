import subprocess
from pathlib import Path

import pytest

from fcn.tracking import connection, git


def test_git_tags_are_the_commit_and_whether_files_differ_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git.tags() == {}

    def run_git(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *who, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    run_git("init", "--quiet")
    assert git.commit() is None
    run_git("commit", "--quiet", "--allow-empty", "--message", "first")
    commit = run_git("rev-parse", "HEAD")
    assert git.tags() == {"git.commit": commit, "git.dirty": "false"}
    (tmp_path / "new").touch()
    assert git.tags() == {"git.commit": commit, "git.dirty": "true"}
    assert str(git.commit()) == f"{commit} with changes"
    (tmp_path / "new").rename(tmp_path / "dvc.lock")  # which a run itself writes
    assert str(git.commit()) == commit


def test_a_repository_around_an_installed_package_is_not_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for command in (["init"], [*who, "commit", "--allow-empty", "--message", "first"]):
        subprocess.run(["git", *command, "--quiet"], cwd=tmp_path, check=True)
    packages = tmp_path / "env/site-packages"
    packages.mkdir(parents=True)
    monkeypatch.setattr(connection, "ROOT", packages)
    assert git.commit() is None
    monkeypatch.setattr(connection, "ROOT", tmp_path)
    assert git.commit() is not None
