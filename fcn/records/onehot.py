"""Masks as one-hot rows, as arrays and as the bytes of a record (`encoding: onehot`)."""

import zlib

import numpy as np

from fcn.datasets.shared.dataset import IGNORE_INDEX


def rows(mask: np.ndarray, classes: int) -> np.ndarray:
    """Return the mask H W as uint8 H W K: one 1 in each row, none where ignored."""
    return (mask[..., None] == np.arange(classes, dtype=mask.dtype)).view(np.uint8)


def mask(rows: np.ndarray) -> np.ndarray:
    """Return the mask uint8 H W of rows H W K: the first class that is not 0, else `IGNORE_INDEX`."""
    found = np.full(rows.shape[:2], IGNORE_INDEX, np.uint8)
    for number in reversed(range(rows.shape[-1])):
        np.copyto(found, number, where=rows[..., number] != 0)
    return found


def encode(mask: np.ndarray, height: int, width: int, classes: int) -> bytes:
    """Return the zlib stream of the mask's rows, H W K without a header.

    Raises:
        ValueError: the mask is not of this size, or holds values that no row can say: they would
            turn into ignored ones.
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
    """Return the rows uint8 H W K in a zlib stream, whatever they hold.

    Raises:
        ValueError: it is no such stream, or not of this size.
    """
    pixels = height * width
    inflating = zlib.decompressobj()
    try:
        # One more than 255 classes have: a stream that goes on and on ends here.
        found = inflating.decompress(stream, pixels * IGNORE_INDEX + 1)
    except zlib.error as error:
        raise ValueError(f"{len(stream)} bytes that are no zlib stream ({error})") from None
    if not inflating.eof or not found or len(found) % pixels:
        raise ValueError(f"{len(found)} bytes that are no one-hot rows of {height}x{width} pixels")
    return np.frombuffer(found, np.uint8).reshape(height, width, -1)
