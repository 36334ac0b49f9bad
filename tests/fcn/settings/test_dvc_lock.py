"""dvc.lock is read without DVC; its hashes of files and folders are DVC's own."""

from pathlib import Path

import pytest
from dvc.repo import Repo

from fcn.settings import dvc_lock

PROJECT = Path(__file__).parents[3]
LOCK = """\
stages:
  table@digits:
    deps:
    - path: data/metrics/digits
      md5: {unused}
    - path: fcn/report/page
      md5: {folder}
    - path: stages/table.py
      md5: {file}
    params:
      params.yaml:
        seed: 1337
"""


def write(path: Path, content: str = "content") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose table is up to date."""
    write(tmp_path / "stages/table.py")
    write(tmp_path / "fcn/report/page/page.css")
    write(tmp_path / "params.yaml", "seed: 1337\n")
    hashes = {
        "file": dvc_lock.md5(tmp_path / "stages/table.py", tmp_path),
        "folder": dvc_lock.md5(tmp_path / "fcn/report/page", tmp_path),
        "unused": "0" * 32,
    }
    write(tmp_path / "dvc.lock", LOCK.format(**hashes))
    return tmp_path


def changes(root: Path) -> list[str]:
    return list(dvc_lock.changes(dvc_lock.read(root)["table@digits"], root))


def test_nothing_changed_and_data_are_not_compared(root: Path) -> None:
    assert changes(root) == []


@pytest.mark.parametrize("path", ["fcn/report/page/page.css", "fcn/report/page/new.j2"])
def test_a_changed_file_of_a_folder_of_code_is_a_change(root: Path, path: str) -> None:
    write(root / path, "edited")
    assert changes(root) == ["fcn/report/page changed"]


def test_bytecode_in_a_folder_of_code_is_no_change(root: Path) -> None:
    write(root / ".dvcignore", "__pycache__\n")
    write(root / "fcn/report/page/__pycache__/page.cpython-311.pyc")
    assert changes(root) == []


def test_removed_code_is_a_change(root: Path) -> None:
    (root / "stages/table.py").unlink()
    (root / "fcn/report/page/page.css").unlink()
    (root / "fcn/report/page").rmdir()
    assert changes(root) == ["fcn/report/page is missing", "stages/table.py is missing"]


def test_a_changed_setting_is_a_change(root: Path) -> None:
    write(root / "params.yaml", "seed: 1338\n")
    assert changes(root) == ["seed in params.yaml changed"]


IGNORED = [
    "__pycache__/a.pyc",
    "below/__pycache__/a.pyc",
    ".gitignore",
    ".a.partial-old/b",
    "trials/x",
]


def test_a_folder_has_the_hash_that_dvc_gives_it(tmp_path: Path) -> None:
    write(tmp_path / ".dvcignore", (PROJECT / ".dvcignore").read_text("utf-8"))
    room = tmp_path / "room"
    for name in ("b.py", "a/b.py", "a.py", "a-b.py", "ü.txt", "pycache/trials.py", ".hidden"):
        write(room / name, name)
    before = dvc_lock.md5(room, tmp_path)
    for name in IGNORED:
        write(room / name, name)
    with Repo.init(tmp_path, no_scm=True) as repository:
        (stage,) = repository.add([str(room)])
    assert dvc_lock.md5(room, tmp_path) == before == stage.outs[0].hash_info.value


@pytest.mark.parametrize("pattern", ["/room", "a/b", "!a", "a\\b"])
def test_a_pattern_that_is_more_than_a_name_is_refused(tmp_path: Path, pattern: str) -> None:
    write(tmp_path / ".dvcignore", f"# comment\n\n{pattern}\n")
    write(tmp_path / "room/a.py")
    with pytest.raises(ValueError, match=r"\.dvcignore: .* allowed: names"):
        dvc_lock.md5(tmp_path / "room", tmp_path)
