from pathlib import Path

import pytest

from fcn.settings import project
from tests.shipped import SHIPPED


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with a subfolder, and an unrelated project of DVC inside it."""
    for name in ("dvc.yaml", "params.yaml", "tables"):
        (tmp_path / name).symlink_to(SHIPPED / name)
    (tmp_path / "photos" / "holiday").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / "other" / name).touch()
    return tmp_path


def test_the_project_is_the_current_folder_or_the_nearest_above_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert project.find() == Path()
    for name in ("photos/holiday", "other"):
        monkeypatch.chdir(folder / name)
        assert project.find() == folder


def test_outside_a_project_the_message_says_what_needs_one_and_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert project.find() is None
    with pytest.raises(ValueError, match=rf"^explain needs a project, but neither {tmp_path} nor"):
        project.require("explain")
