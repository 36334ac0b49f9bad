"""Published cells and other trainings of a row, where the sections of a table file do not fit."""

import shutil
from pathlib import Path

import pytest

from fcn.settings import reader
from tests.shipped import SHIPPED

CELL = """published:
  digits-somebody:
    table: digits
    row: digits-fcn8s
    name: FCN-8s
    source: Somebody, 2015, table 2
    confirmed: true
    split: test
    conditions: as here
    values: {mean_iou: 62.7}
"""
SEEDS = "    replicas: {digits-fcn8s: [digits-fcn16s]}\n    rows:\n"


def said(tmp_path: Path, text: str) -> str:
    """The message about a digits table of this text."""
    shutil.copytree(SHIPPED / "tables", tmp_path / "tables")
    shutil.copy(SHIPPED / "params.yaml", tmp_path)
    (tmp_path / "tables/digits.yaml").write_text(text, "utf-8")
    with pytest.raises(ValueError, match="wrong setting") as refused:
        reader.load("digits", tmp_path)
    return str(refused.value)


def table() -> str:
    return (SHIPPED / "tables/digits.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    source: Somebody, 2015, table 2\n", "", "digits-somebody.source: missing"),
        ("Somebody, 2015, table 2", '""', "digits-somebody.source: got ''"),
        ("row: digits-fcn8s", "row: digits-fcn9s", "did you mean 'digits-fcn8s'"),
        ("    row: digits-fcn8s\n", "", "exactly one of `row:` and `not_run:`"),
        ("mean_iou: 62.7", "mean_iou: 162.7", "percent, up to 100"),
        ("mean_iou: 62.7", "mean_io: 62.7", "'mean_iou'"),
        ("mean_iou: 62.7", "milliseconds: 62.7", "it names the machine"),
        ("digits-somebody", "camvid-somebody", "begin with its name, 'digits'"),
        ("confirmed: true", "convention: fair\n    confirmed: true", "'berkeley'"),
    ],
)
def test_an_incomplete_or_wrong_published_cell_is_refused(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    assert old in CELL
    text = table().replace("published: {}\n", CELL.replace(old, new))
    assert message in said(tmp_path, text)


def test_a_replica_differs_from_its_row_in_the_seed_only(tmp_path: Path) -> None:
    message = said(tmp_path, table().replace("    rows:\n", SEEDS))
    assert "digits-fcn16s differs from digits-fcn8s in more than `seed`" in message
    assert "got seeds [None, None], allowed: one for each" in message


def test_a_replica_must_exist(tmp_path: Path) -> None:
    text = table().replace("    rows:\n", SEEDS.replace("[digits-fcn16s]", "[digits-fcn8]"))
    assert "replicas.digits-fcn8s: got 'digits-fcn8', which does not exist" in said(tmp_path, text)
