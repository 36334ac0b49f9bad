"""A record: a sample encoded and decoded. Works without TensorFlow.

A record is a `tf.train.Example` with these features, so that `tf.data.TFRecordDataset` reads it as
well:

    image/encoded   the source's own JPEG or PNG bytes; a PNG for composed canvases
    image/format    b"jpeg" or b"png"
    image/height, image/width   pixels
    image/id        unique in the data set
    label/encoded   8-bit grey PNG of class indices, 255 where ignored
    label/format    b"png"

With `encoding: onehot` label/encoded is the zlib stream of uint8 H W K, a single 1 in each pixel's
row and none where ignored (`tf.io.decode_compressed`, `tf.io.decode_raw`), label/format b"onehot".
"""

from dataclasses import dataclass

import cv2
import numpy as np

from fcn.records import onehot
from fcn.records.example import Example
from fcn.records.sample import Sample

ONEHOT = "onehot"
SIGNATURES = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG"}


@dataclass(frozen=True)
class DecodedSample:
    """A record as arrays: image uint8 H W C, label (the mask) uint8 H W."""

    id: str
    image: np.ndarray
    label: np.ndarray
    one_hot: np.ndarray | None = None
    """The mask as it was stored, uint8 H W K, where `encoding: onehot` wrote it."""


def encode(sample: Sample, classes: int | None = None) -> Example:
    """Return the record's content for a sample; encoded images pass through untouched.

    With `classes`, the mask becomes one-hot rows of that length.

    Raises:
        ValueError: the image is no picture, or neither JPEG nor PNG, or the mask holds values that
            one-hot rows cannot represent.
    """
    name = str(sample.path or f"the image of {sample.id}")
    if isinstance(sample.image, bytes):
        encoded = sample.image
        # Decoding to the last byte proves it whole; grey takes the least time and memory.
        height, width = decode_image(encoded, 1, name).shape[:2]
    else:
        encoded = encode_png(sample.image)
        height, width = sample.image.shape[:2]
    formats = [kind for kind, start in SIGNATURES.items() if encoded.startswith(start)]
    if not formats:
        raise ValueError(f"{name} is a picture of another format; allowed: JPEG, PNG")
    if classes is None:
        return Example(sample.id, encoded, formats[0], height, width, encode_png(sample.mask))
    try:
        rows = onehot.encode(sample.mask, height, width, classes)
    except ValueError as error:
        raise ValueError(f"the mask of {sample.id}: {error}") from None
    return Example(sample.id, encoded, formats[0], height, width, rows, ONEHOT)


def encode_png(pixels: np.ndarray) -> bytes:
    """Return a PNG of uint8 pixels H W (grey) or H W 3 (RGB)."""
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".png", pixels)
    assert done and pixels.dtype == np.uint8
    return encoded.tobytes()


def decode_image(encoded: bytes, channels: int, name: str) -> np.ndarray:
    """Return pixels uint8 H W C.

    The orientation in EXIF is not applied: masks are drawn on the pixels as stored.

    Raises:
        ValueError: `name` is no picture, or a damaged one.
    """
    mode = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR_RGB
    pixels = _decode_pixels(encoded, mode | cv2.IMREAD_IGNORE_ORIENTATION, name)
    return pixels.reshape(*pixels.shape[:2], channels)


def decode(example: Example, channels: int) -> DecodedSample:
    """Return the arrays of an example.

    Raises:
        ValueError: the image or label is no picture, or the label is not 8-bit grey, nor one-hot
            rows.
    """
    image = decode_image(example.image, channels, f"the image of {example.id}")
    name = f"the label of {example.id}"
    if example.label_format == ONEHOT:
        try:
            rows = onehot.decode(example.label, example.height, example.width)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        return DecodedSample(example.id, image, onehot.mask(rows), rows)
    label = _decode_pixels(example.label, cv2.IMREAD_UNCHANGED, name)
    if label.ndim != 2 or label.dtype != np.uint8:
        shape = f"{label.dtype} {label.shape}"
        raise ValueError(f"{name} is {shape}; allowed: 8-bit grey, H W")
    return DecodedSample(example.id, image, label)


def _decode_pixels(encoded: bytes, mode: int, name: str) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), mode) if encoded else None
    if pixels is None:
        raise ValueError(f"{name}: {len(encoded)} bytes that are no picture, or a damaged one")
    return pixels
