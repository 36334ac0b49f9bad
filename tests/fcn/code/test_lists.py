"""An edit of code changes the lists of the stages that run it, and DVC reruns exactly these."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from dvc.repo import Repo

from fcn.code import lists
from tests.shipped import ROOT, SETTINGS, SHIPPED


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which, as dvc.lock says, every stage has run; its data are empty."""
    root = tmp_path_factory.mktemp("finished") / "project"
    for folder in ("fcn", "stages"):
        copy = root / folder
        shutil.copytree(ROOT / folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for name in SETTINGS:
        source = SHIPPED / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, root / name)
    shutil.copyfile(ROOT / ".dvcignore", root / ".dvcignore")
    write_lists(root)
    with Repo.init(str(root), no_scm=True) as repo:
        for out in (out for stage in repo.index.stages for out in stage.outs):
            path = Path(out.fs_path)
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix:
                path.touch()
            else:
                path.mkdir(exist_ok=True)
    with chdir(root), Repo() as repo:
        repo.commit(force=True)
    return root


@pytest.fixture
def project(finished: Path) -> Iterator[Path]:
    """The finished project; the code that a test edits is restored afterwards."""
    before = {
        path: path.read_bytes()
        for folder in ("fcn", "stages")
        for path in (finished / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    yield finished
    for path, content in before.items():
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)


def write_lists(root: Path) -> None:
    (root / lists.FOLDER).mkdir(parents=True, exist_ok=True)
    for path, text in lists.compute(root).items():
        (root / path).write_text(text, "utf-8")


def edit(path: Path, text: str = "# edited") -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


EDITS = {
    "fcn/network/layers.py": r"(backbone|train|evaluate)@.*",
    "fcn/training/losses.py": r"(backbone|train)@.*",
    "fcn/labels/rules.py": r"validate@.*",
    "fcn/report/page/page.css": r"table@.*",
    "fcn/datasets/digits.py": r"(download|convert|backbone|table)@.*",
    "fcn/heads/fcn8s.py": r"(train|evaluate)@digits-fcn8s",
    "fcn/heads/unet.py": r"-",
    "fcn/common/messages.py": r"-",
    "stages/train.py": r"train@.*",
}
"""File: the stages of the default table that its edit reruns."""


def test_an_edit_reruns_the_stages_that_run_the_file_and_no_others(project: Path) -> None:
    for path, stages in EDITS.items():
        content = (project / path).read_bytes()
        edit(project / path)
        write_lists(project)
        with chdir(project), Repo() as repo:
            changes = repo.status()
            names = {stage.addressing for stage in repo.index.stages}
        run_first = changes.pop("code", [])
        assert set(changes) == {name for name in names if re.fullmatch(stages, name)}, path
        assert ("changed deps" in str(run_first)) == (path != "fcn/common/messages.py"), path
        (project / path).write_bytes(content)


def test_a_file_that_a_new_import_brings_counts(project: Path) -> None:
    edit(project / "fcn/labels/rules.py", "from fcn.labels import new")
    new = project / "fcn/labels/new.py"
    try:
        edit(new)
        write_lists(project)
        assert "fcn/labels/new.py" in (project / "data/code/validate.txt").read_text("utf-8")
        before = lists.compute(project)
        edit(new)
        after = lists.compute(project)
        assert {path for path in after if after[path] != before[path]} == {"data/code/validate.txt"}
    finally:
        new.unlink()


def test_what_a_module_found_by_name_imports_counts_for_every_item(project: Path) -> None:
    code = lists.compute(project)["data/code/train.txt"]
    assert "fcn/heads/" not in code
    edit(project / "fcn/heads/unet.py", "from fcn.heads import fcn8s")
    code = lists.compute(project)["data/code/train.txt"]
    assert "fcn/heads/fcn8s.py" in code
    assert "fcn/heads/unet.py" not in code


def test_code_whose_edits_would_rerun_nothing_is_refused(project: Path) -> None:
    edit(project / "stages/ceiling.py", "from fcn.prediction import crops")
    edit(project / "fcn/prediction/crops.py")
    with pytest.raises(ValueError, match=r"crops\.py, but .*`code` lack it; add fcn/prediction"):
        lists.compute(project)


def test_code_that_is_not_python_is_refused(project: Path) -> None:
    edit(project / "fcn/heads/unet.py", "def")
    with pytest.raises(ValueError, match=r"unet\.py:\d+: invalid syntax"):
        lists.compute(project)


def test_sha256sum_reads_a_list(project: Path) -> None:
    write_lists(project)
    command = ["sha256sum", "--check", "--quiet", "data/code/evaluate.txt"]
    assert subprocess.run(command, cwd=project, check=False).returncode == 0
    edit(project / "fcn/scores/metrics.py")
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.stdout == "fcn/scores/metrics.py: FAILED\n"
