import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fcn.records import onehot
from fcn.records.sample import IGNORE_INDEX

CLASSES = 4
MASKS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([*range(CLASSES), IGNORE_INDEX]))
)


@hypothesis_settings(deadline=None)
@given(mask=MASKS)
def test_a_mask_reads_back_as_written(mask: np.ndarray) -> None:
    rows = onehot.decode(onehot.encode(mask, *mask.shape, CLASSES), *mask.shape)
    assert (rows == onehot.rows(mask, CLASSES)).all()
    assert (onehot.mask(rows) == mask).all()


@hypothesis_settings(deadline=None)
@given(mask=MASKS)
def test_a_row_holds_a_single_one_where_the_class_is_and_none_where_ignored(
    mask: np.ndarray,
) -> None:
    rows = onehot.rows(mask, CLASSES)
    assert (rows.shape, rows.dtype) == ((*mask.shape, CLASSES), np.uint8)
    assert (rows.sum(axis=-1) == (mask != IGNORE_INDEX)).all()
    assert all((rows[..., k] == (mask == k)).all() for k in range(CLASSES))


def test_a_value_that_no_row_can_hold_is_refused() -> None:
    mask = np.array([[0, 4, 9, IGNORE_INDEX]], np.uint8)
    with pytest.raises(ValueError, match=r"can hold \[4, 9\]; allowed: 0\.\.3 and 255"):
        onehot.encode(mask, 1, 4, CLASSES)


def test_a_mask_of_another_size_than_its_image_is_refused() -> None:
    with pytest.raises(ValueError, match="its size is 2x3, its image's 3x2"):
        onehot.encode(np.zeros((2, 3), np.uint8), 3, 2, CLASSES)


def test_wrong_rows_are_read_as_they_are_for_the_label_rules_to_judge() -> None:
    rows = np.array([[[1, 1, 0, 0], [0, 0, 7, 0]]], np.uint8)
    assert (onehot.decode(zlib.compress(rows.data), 1, 2) == rows).all()
    assert onehot.mask(rows).tolist() == [[0, 2]]


SOUND = zlib.compress(bytes(2 * 3 * CLASSES))


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (b"", "no one-hot rows of 2x3 pixels"),
        (b"no stream", "9 bytes that are no zlib stream"),
        (SOUND[:-1], "no one-hot rows"),
        (zlib.compress(b""), "0 bytes that are no one-hot rows"),
        (zlib.compress(bytes(7)), "7 bytes that are no one-hot rows"),
        (zlib.compress(bytes(10_000_000)), "no one-hot rows"),
    ],
    ids=["nothing", "noise", "cut short", "empty", "another size", "a bomb"],
)
def test_other_bytes_are_refused(stream: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        onehot.decode(stream, 2, 3)
