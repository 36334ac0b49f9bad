from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fcn.records.index import INDEX, read_index
from fcn.records.split import Records


@hypothesis_settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_a_damaged_index_is_a_table_or_one_message_with_its_place(
    data: st.DataObject, one_file: Path
) -> None:
    path = one_file / INDEX
    sound = path.read_bytes()
    damaged = bytearray(sound)
    damaged[data.draw(st.integers(0, len(sound) - 1))] ^= data.draw(st.integers(1, 255))
    message = f"{path} is a table"
    try:
        path.write_bytes(damaged)
        read_index(one_file)
    except ValueError as error:
        message = str(error)
    finally:
        path.write_bytes(sound)
    assert str(path) in message


@pytest.mark.parametrize("keep", [0, 4, -1])
def test_an_index_cut_short_is_refused(keep: int, own_records: Path) -> None:
    path = own_records / INDEX
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"index\.parquet is damaged .*; delete the folder"):
        Records(own_records, "train")


def test_an_index_of_another_layout_is_refused(own_records: Path) -> None:
    path = own_records / INDEX
    pq.write_table(pq.read_table(path).drop_columns(["ignored"]), path)
    with pytest.raises(ValueError, match=r"another layout"):
        Records(own_records, "train")
