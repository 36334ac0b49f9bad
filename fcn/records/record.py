"""THE record: encode, decode, write, read, index. Works without TensorFlow.

A record file is a TFRecord file: for each example 8 bytes of length, their masked CRC-32C, the
bytes, their masked CRC-32C (little endian; tensorflow/core/lib/io/record_writer). The bytes are a
`tf.train.Example` with these features, so that `tf.data.TFRecordDataset` reads them as well:

    image/encoded   the source's own JPEG or PNG bytes; a PNG for composed canvases
    image/format    b"jpeg" or b"png"
    image/height, image/width   pixels
    image/id        unique in the data set
    label/encoded   8-bit grey PNG of class indices, 255 where ignored
    label/format    b"png"

With `encoding: onehot` label/encoded is the zlib stream of uint8 H W K, a single 1 in each pixel's
row and none where ignored (`tf.io.decode_compressed`, `tf.io.decode_raw`), label/format b"onehot".

A folder of records, which `fcn.records.shards` writes, holds `<split>-00000-of-00002.tfrecord`,
`index.parquet` (a row per example: where it stands and what is in it) and `labels.json` (class
names, colours, channels).
"""

import hashlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fcn.common import files
from fcn.datasets.shared.dataset import Overlap, Pair
from fcn.records import onehot
from fcn.records.example import Example

INDEX = "index.parquet"
LABELS = "labels.json"
HEADER = struct.Struct("<QI")
FOOTER = struct.Struct("<I")
AGAIN = "delete the folder and run `dvc repro convert`"
ONEHOT = "onehot"
SIGNATURES = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG"}

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("split", pa.string()),
        ("group", pa.list_(pa.string())),
        ("shard", pa.string()),
        ("offset", pa.int64()),  # of the record's header, in bytes
        ("length", pa.int64()),  # of the example, in bytes
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("bytes", pa.int64()),  # of the encoded image
        ("image_sha256", pa.string()),
        ("label_sha256", pa.string()),
        ("pixels", pa.list_(pa.int64())),  # per class
        ("ignored", pa.int64()),  # pixels
        ("notes", pa.list_(pa.struct([("rule", pa.string()), ("message", pa.string())]))),
    ]
)


@dataclass(frozen=True)
class Labels:
    """What the numbers in the masks mean."""

    dataset: str
    classes: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    channels: int
    """Of the images: 1 (grey) or 3 (RGB)."""
    overlaps: tuple[Overlap, ...] = ()
    """Known likenesses between splits that the data set's file accepts, with the reason."""
    encoding: str = "index"
    """Of the masks: `index` or `onehot`."""


@dataclass(frozen=True)
class Decoded:
    """One example as arrays: image uint8 H W C, label uint8 H W."""

    id: str
    image: np.ndarray
    label: np.ndarray
    one_hot: np.ndarray | None = None
    """The mask as it was stored, uint8 H W K, where `encoding: onehot` wrote it."""


def encode(pair: Pair, classes: int | None = None) -> Example:
    """Return the record's content for a pair; encoded images pass through untouched.

    With `classes`, the mask becomes one-hot rows of that length.

    Raises:
        ValueError: the image is no picture, or neither JPEG nor PNG, or the mask holds what
            one-hot rows cannot say.
    """
    name = str(pair.path or f"the image of {pair.id}")
    if isinstance(pair.image, bytes):
        encoded = pair.image
        # Decoded to the last byte, which proves it whole; grey takes the least time and memory.
        height, width = decode_image(encoded, 1, name).shape[:2]
    else:
        encoded = encode_png(pair.image)
        height, width = pair.image.shape[:2]
    kinds = [kind for kind, start in SIGNATURES.items() if encoded.startswith(start)]
    if not kinds:
        raise ValueError(f"{name} is a picture of another format; allowed: JPEG, PNG")
    if classes is None:
        return Example(pair.id, encoded, kinds[0], height, width, encode_png(pair.mask))
    try:
        rows = onehot.encode(pair.mask, height, width, classes)
    except ValueError as error:
        raise ValueError(f"the mask of {pair.id}: {error}") from None
    return Example(pair.id, encoded, kinds[0], height, width, rows, ONEHOT)


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
    """
    mode = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR_RGB
    pixels = _imdecode(encoded, mode | cv2.IMREAD_IGNORE_ORIENTATION, name)
    return pixels.reshape(*pixels.shape[:2], channels)


def decode(example: Example, channels: int) -> Decoded:
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
        return Decoded(example.id, image, onehot.mask(rows), rows)
    label = _imdecode(example.label, cv2.IMREAD_UNCHANGED, name)
    if label.ndim != 2 or label.dtype != np.uint8:
        shape = f"{label.dtype} {label.shape}"
        raise ValueError(f"{name} is {shape}; allowed: 8-bit grey, H W")
    return Decoded(example.id, image, label)


def _imdecode(encoded: bytes, mode: int, name: str) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), mode) if encoded else None
    if pixels is None:
        raise ValueError(f"{name}: {len(encoded)} bytes that are no picture, or a damaged one")
    return pixels


def frame(data: bytes) -> bytes:
    """Return a record around `data`: length, its checksum, data, its checksum."""
    length = struct.pack("<Q", len(data))
    return length + FOOTER.pack(_masked(length)) + data + FOOTER.pack(_masked(data))


def _masked(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class Records:
    """The records of one split, read at random; each read checks both checksums.

    Raises:
        ValueError: the folder, its index or a record file is missing, shortened or damaged.
    """

    def __init__(self, folder: Path, split: str) -> None:
        """Open the index; record files are opened as they are read."""
        self.folder = folder
        self.labels = read_labels(folder)
        index = read_index(folder)
        self.rows: list[dict[str, Any]] = index.filter(
            pa.compute.equal(index["split"], split)
        ).to_pylist()
        if not self.rows:
            known = ", ".join(sorted(set(index["split"].to_pylist())))
            raise ValueError(f"{folder} has no examples of split {split!r}; it has: {known}")

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.rows)

    def __getitem__(self, number: int) -> Decoded:
        """Return the example `number` as arrays."""
        return decode(self.example(number), self.labels.channels)

    def __iter__(self) -> Iterator[Decoded]:
        """Yield all examples in the order of the index."""
        return (self[number] for number in range(len(self)))

    def example(self, number: int) -> Example:
        """Return the example `number`, encoded as it lies in its file."""
        row = self.rows[number]
        path = self.folder / row["shard"]
        size = HEADER.size + row["length"] + FOOTER.size
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise ValueError(f"{path} is missing, but {INDEX} names it; {AGAIN}") from None
        try:
            record = os.pread(file, size, row["offset"])
        finally:
            os.close(file)
        where = f"{path}: record {row['id']} at byte {row['offset']}"
        if len(record) < size:
            raise ValueError(
                f"{where} ends after {len(record)} of {size} bytes: the file was cut short; {AGAIN}"
            )
        data = record[HEADER.size : -FOOTER.size]
        length, length_crc = HEADER.unpack_from(record)
        (data_crc,) = FOOTER.unpack_from(record, HEADER.size + len(data))
        sound = length == len(data) and length_crc == _masked(record[:8])
        if not sound or data_crc != _masked(data):
            raise ValueError(f"{where} does not match its CRC-32C: the file is damaged; {AGAIN}")
        return Example.from_bytes(data)


def read_labels(folder: Path) -> Labels:
    """Read what the masks' numbers mean."""
    path = folder / LABELS
    content = files.read_json(path)
    try:
        return Labels(
            dataset=content["dataset"],
            classes=tuple(content["classes"]),
            colours=tuple((red, green, blue) for red, green, blue in content["colours"]),
            channels=content["channels"],
            overlaps=tuple(
                Overlap(
                    overlap["rule"], (overlap["splits"][0], overlap["splits"][1]), overlap["reason"]
                )
                for overlap in content["overlaps"]
            ),
            encoding=content["encoding"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is of another layout ({error}); {AGAIN}") from None


def read_index(folder: Path) -> pa.Table:
    """Read the index of all splits.

    Raises:
        ValueError: it is missing, damaged, or of another layout.
    """
    path = folder / INDEX
    try:
        index = pq.read_table(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; {AGAIN}") from None
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):  # the system's own: no permission, a broken disk
            raise
        raise ValueError(f"{path} is damaged ({error}); {AGAIN}") from None
    if index.schema != SCHEMA:
        raise ValueError(f"{path} has another layout than this version's; {AGAIN}")
    return index


def fingerprint(folder: Path) -> str:
    """Return one SHA-256 over the names and bytes of all files in the folder."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        total.update(f"{path.name} {files.sha256(path)}\n".encode())
    return total.hexdigest()
