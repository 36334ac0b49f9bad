"""Masks as one-hot rows: arrays, and the bytes of a record (`encoding: onehot`)."""

import zlib

import numpy as np

from fcn.records.sample import IGNORE_INDEX


def rows(mask: np.ndarray, classes: int) -> np.ndarray:
    """Return the mask H W as uint8 H W K: one 1 in each row, none where ignored."""
    return (mask[..., None] == np.arange(classes, dtype=mask.dtype)).view(np.uint8)


def mask(rows: np.ndarray) -> np.ndarray:
    """Return the mask uint8 H W of rows H W K: the first class not 0, else `IGNORE_INDEX`."""
    indices = np.full(rows.shape[:2], IGNORE_INDEX, np.uint8)
    for number in reversed(range(rows.shape[-1])):
        np.copyto(indices, number, where=rows[..., number] != 0)
    return indices


def encode(mask: np.ndarray, height: int, width: int, classes: int) -> bytes:
    """Return the zlib stream of the mask's rows, H W K without a header.

    Raises:
        ValueError: the mask has another size, or values that no row can represent: they would
            become ignored.
    """
    if mask.shape != (height, width):
        size = f"{mask.shape[0]}x{mask.shape[1]}"
        raise ValueError(
            f"its size is {size}, its image's {height}x{width}; one-hot needs the same"
        )
    unknown = np.setdiff1d(mask, [*range(classes), IGNORE_INDEX])
    if unknown.size:
        allowed = f"0..{classes - 1} and {IGNORE_INDEX}"
        raise ValueError(f"no one-hot row can hold {unknown.tolist()}; allowed: {allowed}")
    return zlib.compress(rows(mask, classes).data)


def decode(stream: bytes, height: int, width: int) -> np.ndarray:
    """Return the rows uint8 H W K in a zlib stream, with any values.

    Raises:
        ValueError: it is no such stream, or has another size.
    """
    pixels = height * width
    inflating = zlib.decompressobj()
    try:
        # One byte more than 255 classes have: an endless stream stops here.
        inflated = inflating.decompress(stream, pixels * IGNORE_INDEX + 1)
    except zlib.error as error:
        raise ValueError(f"{len(stream)} bytes that are no zlib stream ({error})") from None
    if not inflating.eof or not inflated or len(inflated) % pixels:
        raise ValueError(
            f"{len(inflated)} bytes that are no one-hot rows of {height}x{width} pixels"
        )
    return np.frombuffer(inflated, np.uint8).reshape(height, width, -1)
