import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fcn.common import files

ROOT = Path(__file__).parents[3]
WRITE_FILE = """
def write(path, text):
    with files.writing(path) as aside:
        aside.write_text(text)

def read(path):
    return path.read_text() if path.exists() else None
"""
WRITE_FOLDER = """
def write(path, text):
    with files.writing_folder(path) as aside:
        (aside / "a").write_text(text)
        (aside / "deeper").mkdir()
        (aside / "deeper/b").write_text(text)

def read(path):
    names = ("a", "deeper/b")
    return " ".join((path / name).read_text() for name in names) if path.exists() else None
"""
# What a run that is killed at each of its moments leaves at `path`, and what lies beside it after
# the next run.
KILLED = """
import json, os, sys
from pathlib import Path
from fcn.common import files
from tests.killing import before_each_call
{functions}
path = Path(sys.argv[1])
left, beside = [], []
for _ in before_each_call(lambda: write(path, "old"), lambda: write(path, "new")):
    left.append(read(path))
    write(path, "next")
    beside.append(sorted(os.listdir(path.parent)))
print(json.dumps([left, beside]))
"""


def killed(functions: str, path: Path) -> tuple[list[str | None], list[list[str]]]:
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(functions=functions), path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    left, beside = json.loads(done.stdout)
    return left, beside


def test_a_file_appears_when_all_of_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "made/on/demand.txt"
    with files.writing(path) as aside:
        aside.write_text("whole")
        assert not path.exists()
        assert aside.parent == path.parent
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_appears_when_all_of_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "made/on/demand"
    with files.writing_folder(path) as aside:
        (aside / "file").write_text("whole")
        assert not path.exists()
        assert aside.parent == path.parent
    assert (path / "file").read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_is_replaced_not_added_to(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with files.writing_folder(tmp_path / "folder") as aside:
            (aside / name).touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_name_keeps_its_ending_while_it_is_written(tmp_path: Path) -> None:
    with files.writing(tmp_path / "model.keras") as aside:
        assert aside.suffix == ".keras"
        aside.touch()


def test_files_that_differ_in_their_ending_are_written_side_by_side(tmp_path: Path) -> None:
    with files.writing(tmp_path / "a.md") as first, files.writing(tmp_path / "a.csv") as second:
        first.write_text("md")
        second.write_text("csv")
    assert (tmp_path / "a.md").read_text() == "md"
    assert (tmp_path / "a.csv").read_text() == "csv"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_after_an_exception_the_old_file_is_there_and_nothing_else(
    error: type[BaseException], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail() -> None:
        with files.writing(path) as aside:
            aside.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_after_an_exception_the_old_folder_is_there_and_nothing_else(
    error: type[BaseException], tmp_path: Path
) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "file").write_text("old")

    def fail() -> None:
        with files.writing_folder(path) as aside:
            (aside / "file").write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert (path / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_nobody_wrote_does_not_appear(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.writing(tmp_path / "file"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_by_the_file_that_did_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with (
        pytest.raises(OSError, match="No space left") as caught,
        files.writing(path),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"x")
    assert caught.value.filename == str(path)


def test_a_file_is_old_or_new_whenever_its_writer_is_killed(tmp_path: Path) -> None:
    left, beside = killed(WRITE_FILE, tmp_path / "file.txt")
    assert set(left) == {"old", "new"}
    assert left[-1] == "new"
    assert beside == [["file.txt"]] * len(left)


def test_a_folder_is_whole_or_not_there_whenever_its_writer_is_killed(tmp_path: Path) -> None:
    left, beside = killed(WRITE_FOLDER, tmp_path / "folder")
    assert set(left) == {"old old", None, "new new"}
    assert left[-1] == "new new"
    assert beside == [["folder"]] * len(left)


FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@hypothesis_settings(deadline=None, max_examples=50)
@given(content=JSON)
def test_json_reads_back_as_written(content: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "round.json"
    files.write_json(path, content)
    assert files.read_json(path) == content


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_json_does_not_have_is_refused_and_the_old_file_stays(
    number: float, tmp_path: Path
) -> None:
    path = tmp_path / "scores.json"
    files.write_json(path, {"mean_iou": 0.5})
    with pytest.raises(ValueError, match=str(number)):
        files.write_json(path, {"mean_iou": number})
    assert files.read_json(path) == {"mean_iou": 0.5}
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_json_file_is_named_with_the_way_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"scores\.json is missing; `dvc repro` makes it"):
        files.read_json(tmp_path / "scores.json")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"], ids=["empty", "cut short", "not UTF-8"])
def test_an_edited_json_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"scores\.json is not JSON"):
        files.read_json(tmp_path / "scores.json")


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1_000_000)
    assert files.sha256(tmp_path / "file") == hashlib.sha256(b"x" * 1_000_000).hexdigest()


def test_a_file_is_named_by_its_md5(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"bytes" * 100_000)
    expected = hashlib.md5(b"bytes" * 100_000, usedforsecurity=False).hexdigest()
    assert files.md5(tmp_path / "file") == expected
