"""dvc.lock is read without DVC; its hashes of files and folders are DVC's own."""

from pathlib import Path

import pytest
from dvc.repo import Repo

from fcn.settings import dvc_lock

PROJECT = Path(__file__).parents[3]


def write(path: Path, content: str = "content") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")


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
