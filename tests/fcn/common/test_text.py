import os
import re
from pathlib import Path

import pytest

from fcn.common import text


def test_a_misspelt_name_is_answered_with_the_one_that_was_meant() -> None:
    assert text.nearest("epoch", ["batch", "epochs"]) == "did you mean 'epochs'?"


def test_a_name_like_no_other_is_answered_with_all_of_them_in_order() -> None:
    assert text.nearest("zzz", ["epochs", "batch"]) == "known: batch, epochs"


def test_where_nothing_is_known_it_says_so() -> None:
    assert text.nearest("zzz", []) == "known: none"


def test_known_names_may_be_an_iterator() -> None:
    assert text.nearest("zzz", iter(["b", "a"])) == "known: a, b"


@pytest.mark.parametrize(
    ("name", "ascii_name", "whole_name"),
    [("Füße", r"F__e-\w{8}", "Füße"), ("犬", r"_-\w{8}", "犬")],
)
def test_a_file_name_may_keep_letters_of_every_script(
    name: str, ascii_name: str, whole_name: str
) -> None:
    assert re.fullmatch(ascii_name, text.file_name(name))
    assert text.file_name(name, ascii_only=False) == whole_name
    assert "/" not in text.file_name(f"{name}/a", ascii_only=False)


def test_names_that_differ_in_their_case_are_near() -> None:
    assert text.nearest("FCN8S", ["fcn8s", "unet"]) == "did you mean 'fcn8s'?"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with photos/beach.jpg."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("photos/beach.jpg").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("photos/beech.jpg", "photos/beach.jpg"),
        ("photos/Beach.JPG", "photos/beach.jpg"),
        ("phots/beach.jpg", "photos/beach.jpg"),
        ("phots/hills.jpg", "photos"),
        ("phots", "photos"),
    ],
)
def test_a_missing_path_is_answered_with_the_nearest(path: str, near: str, folder: Path) -> None:
    assert text.nearest_path(Path(path)) == f"; did you mean {near!r}?"
    assert text.nearest_path(folder / path) == f"; did you mean {str(folder / near)!r}?"


@pytest.mark.parametrize("path", ["photos/zzz.tif", "nowhere/beach.jpg", "/nowhere/at/all"])
def test_a_path_like_no_other_gets_no_hint(path: str, folder: Path) -> None:
    assert text.nearest_path(Path(path)) == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_read_gives_no_hint(folder: Path) -> None:
    Path("photos").chmod(0o300)
    assert text.nearest_path(Path("photos/beech.jpg")) == ""
