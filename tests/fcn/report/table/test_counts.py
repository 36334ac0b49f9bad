"""The confusion matrices of a table's rows in one file."""

from pathlib import Path

import numpy as np
import pytest

from fcn.report.table import counts
from fcn.report.table.counts import RowCounts
from tests.fcn.uncertainty.test_statistic import images


@pytest.mark.parametrize("groups", [None, 3])
def test_what_was_written_is_read(tmp_path: Path, groups: int | None) -> None:
    rows = {"b": RowCounts.of(images(groups=groups)), "a": RowCounts.of(images(number=7))}
    path = tmp_path / "x.counts.parquet"
    counts.write(path, rows)
    again = counts.read(path.read_bytes(), "x")
    assert list(again) == ["b", "a"]
    for key, row in rows.items():
        assert again[key].ids == row.ids
        np.testing.assert_array_equal(again[key].units, row.units)
        np.testing.assert_array_equal(again[key].confusion, row.confusion)


def test_the_same_counts_give_the_same_bytes(tmp_path: Path) -> None:
    counted = images(number=400, classes=11)
    written = []
    for name in ("a", "b"):
        counts.write(tmp_path / name, {"row": RowCounts.of(counted)})
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet " * 20])
def test_a_damaged_file_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"x\.counts\.parquet cannot be read .*dvc repro"):
        counts.read(content, "x.counts.parquet")
