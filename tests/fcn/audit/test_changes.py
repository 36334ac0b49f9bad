"""Code and settings are compared with what a stage last ran with."""

from pathlib import Path

import pytest

from fcn.audit import changes
from fcn.code import lists
from fcn.settings import dvc_lock

GRAPH = """\
stages:
  code: {cmd: lists, deps: [fcn/report, stages], outs: [data/code]}
  table:
    foreach: [digits]
    do: {cmd: table, deps: [data/code/table.txt, "tables/${item}.yaml", data/metrics/digits]}
"""
LIST = "data/code/table.txt"


def write(path: Path, content: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")


def write_list(root: Path) -> None:
    write(root / LIST, lists.compute(root)[LIST])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose table is up to date."""
    write(tmp_path / "dvc.yaml", GRAPH)
    write(tmp_path / "stages/table.py", "from fcn.report import page")
    write(tmp_path / "fcn/report/page.py")
    write(tmp_path / "fcn/report/page.css")
    write(tmp_path / "tables/digits.yaml")
    write(tmp_path / "params.yaml", "seed: 1337\n")
    write_list(tmp_path)
    return tmp_path


@pytest.fixture
def ran(root: Path) -> dvc_lock.Ran:
    """The last run of the stage `table`."""
    deps = {path: dvc_lock.md5(root / path, root) for path in (LIST, "tables/digits.yaml")}
    params = {"params.yaml": {"seed": 1337}}
    return dvc_lock.Ran("table@digits", deps | {"data/metrics/digits": "0" * 32}, {}, params)


def found(ran: dvc_lock.Ran, root: Path) -> list[str]:
    return list(changes.find(ran, lists.compute(root), root))


def test_nothing_changed_and_data_are_not_compared(ran: dvc_lock.Ran, root: Path) -> None:
    assert found(ran, root) == []


def test_changed_code_is_named_before_its_list_is_written_again(
    ran: dvc_lock.Ran, root: Path
) -> None:
    write(root / "fcn/report/page.css", "edited")
    assert found(ran, root) == ["fcn/report/page.css changed"]
    write(root / "fcn/report/page.py", "import fcn.report.charts")
    write(root / "fcn/report/charts.py")
    assert found(ran, root) == [
        "fcn/report/charts.py is new",
        "fcn/report/page.css changed",
        "fcn/report/page.py changed",
    ]


def test_code_that_is_no_longer_used_is_a_change(ran: dvc_lock.Ran, root: Path) -> None:
    (root / "fcn/report/page.css").unlink()
    assert found(ran, root) == ["fcn/report/page.css is no longer used"]


def test_a_list_that_was_written_again_is_a_change(ran: dvc_lock.Ran, root: Path) -> None:
    write(root / "stages/table.py", "from fcn.report import page  # edited")
    write_list(root)
    assert found(ran, root) == ["data/code/table.txt changed"]


def test_an_edit_that_was_undone_is_no_change(ran: dvc_lock.Ran, root: Path) -> None:
    write(root / "fcn/report/page.css", "edited")
    write_list(root)
    write(root / "fcn/report/page.css")
    assert found(ran, root) == []


def test_a_changed_table_file_is_a_change(ran: dvc_lock.Ran, root: Path) -> None:
    write(root / "tables/digits.yaml", "edited")
    assert found(ran, root) == ["tables/digits.yaml changed"]
    (root / "tables/digits.yaml").unlink()
    assert found(ran, root) == ["tables/digits.yaml is missing"]


def test_a_changed_setting_is_a_change(ran: dvc_lock.Ran, root: Path) -> None:
    write(root / "params.yaml", "seed: 1338\n")
    assert found(ran, root) == ["seed in params.yaml changed"]
