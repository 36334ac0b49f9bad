import shutil
import subprocess
from pathlib import Path

import pytest

from fcn.tracking import connection, git

ROOT = Path(__file__).parents[3]


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
    (tmp_path / "fcn").mkdir()
    (tmp_path / "fcn" / "new.py").touch()
    assert git.tags() == {"git.commit": commit, "git.dirty": "true"}
    assert str(git.commit()) == f"{commit} with changes"


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


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clean checkout with the project's .gitignore."""
    monkeypatch.setattr(connection, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    names = ("fcn/predict.py", "tables/digits.yaml", "params.yaml", "dvc.yaml", "README.md")
    for name in (*names, "dvc.lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    shutil.copy(ROOT / ".gitignore", tmp_path)
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "a"]):
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True)
    assert not dirty()
    return tmp_path


def dirty() -> bool:
    commit = git.commit()
    assert commit is not None
    return commit.dirty


@pytest.mark.parametrize("name", ["README.md", "fcn/predict.py", "params.yaml"])
def test_a_changed_tracked_file_makes_a_checkout_dirty(name: str, clone: Path) -> None:
    (clone / name).write_text("changed")
    assert dirty()


@pytest.mark.parametrize(
    "name", ["fcn/new.py", "fcn/a room/new.py", "stages/new.py", "flows/né.py", "tables/mine.yaml"]
)
def test_new_code_and_new_settings_make_a_checkout_dirty(name: str, clone: Path) -> None:
    (clone / name).parent.mkdir(exist_ok=True, parents=True)
    (clone / name).touch()
    assert dirty()


@pytest.mark.parametrize("name", ["notes.txt", "my pictures/né.jpg", "data/new", "fcn.txt"])
def test_other_new_files_leave_a_checkout_clean(name: str, clone: Path) -> None:
    (clone / name).parent.mkdir(exist_ok=True)
    (clone / name).touch()
    assert not dirty()


def test_what_a_run_writes_leaves_a_checkout_clean(clone: Path) -> None:
    (clone / "dvc.lock").write_text("changed")
    assert not dirty()


@pytest.mark.parametrize(
    "folder",
    ["predictions", "stickers", "submission", "exported", "dvc_plots", "reproduction", "trials"],
)
def test_git_ignores_what_commands_write_by_default(folder: str, clone: Path) -> None:
    (clone / folder).mkdir()
    (clone / folder / "photo-mask.png").touch()
    listed = ["git", "status", "--porcelain"]
    assert not subprocess.run(listed, cwd=clone, capture_output=True, check=True).stdout


def test_a_checkout_within_a_larger_repository_counts_its_own_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    (project / "fcn").mkdir(parents=True)
    (project / "dvc.yaml").touch()
    monkeypatch.setattr(connection, "ROOT", project)
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "a"]):
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True)
    (tmp_path / "fcn").mkdir()
    (tmp_path / "fcn" / "new.py").touch()
    assert not dirty()
    (project / "fcn" / "new.py").touch()
    assert dirty()
