"""Runs with other settings in a copy of the workspace."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.repo import Repo

from flows import reproduce
from flows.pipeline import trials

ROOT = Path(__file__).parents[3]
PARAMS = "x: 1  # a comment\nnet: {width: 2}\n"


@pytest.fixture
def workspace(pipeline: Callable[..., None]) -> None:
    pipeline("  a: {cmd: cp params.yaml a, params: [x], outs: [a]}\n", PARAMS)
    Path(".gitignore").write_text("trials/\n")
    with Repo() as repo:
        repo.reproduce()
    for name in ("email", "name"):
        subprocess.run(["git", "config", f"user.{name}", "test"], check=True)
    subprocess.run(["git", "add", "--all"], check=True)
    subprocess.run(["git", "commit", "--quiet", "--message", "start"], check=True)


@pytest.mark.usefixtures("workspace")
def test_the_copy_has_the_settings_the_data_and_uncommitted_files() -> None:
    Path("params.yaml").write_text(PARAMS + "new: 3\n")
    Path("untracked").write_text("u")
    folder = trials.prepare(["params.yaml:net.width=5"])
    assert folder.parent == Path("trials")
    copied = (folder / "params.yaml").read_text()
    assert "x: 1  # a comment" in copied
    assert "width: 5" in copied
    assert "new: 3" in copied
    assert (folder / "untracked").read_text() == "u"
    assert (folder / "a").read_text() == PARAMS
    assert Path("params.yaml").read_text() == PARAMS + "new: 3\n"
    untracked = subprocess.run(["git", "status", "--short"], capture_output=True, text=True)
    assert untracked.stdout == " M params.yaml\n?? untracked\n"
    with Repo() as original, Repo(str(folder)) as copy:
        assert copy.cache.local.path == original.cache.local.path
        assert copy.status() == {}


@pytest.mark.usefixtures("workspace")
def test_the_results_of_a_trial_stay_in_the_copy(
    prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    state = reproduce.reproduce(set=["x=5"], return_state=True)
    assert state.is_completed(), state.message
    summary, location = state.message.splitlines()
    assert summary.startswith("ran 1 (a); ")
    folder = Path(location.removeprefix("in "))
    assert (folder / "a").read_text() == (folder / "params.yaml").read_text()
    assert "x: 5" in (folder / "a").read_text()
    assert Path("a").read_text() == Path("params.yaml").read_text() == PARAMS
    state = reproduce.reproduce(set=["y=5"], return_state=True)
    assert state.is_failed()
    assert "settings for this run" in state.message


@pytest.mark.usefixtures("workspace")
def test_the_same_settings_use_the_same_copy() -> None:
    folder = trials.prepare(["x=2"])
    (folder / "marker").write_text("")
    assert trials.prepare(["x=2"]) == folder
    assert (folder / "marker").exists()
    assert trials.prepare(["x=3"]) != folder


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("setting", ["params.yaml:typo=3", "nowhere.yaml:x=3", "x", "x=["])
def test_an_invalid_setting_is_refused_and_leaves_no_copy(setting: str) -> None:
    with pytest.raises(ValueError, match=r"(?s)settings for this run: .*FILE:KEY=VALUE"):
        trials.prepare([setting])
    assert not Path("trials").exists() or list(Path("trials").iterdir()) == []
    assert trials.prepare(["x=2"]).is_dir()
