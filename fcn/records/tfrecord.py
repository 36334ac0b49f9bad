"""TFRecord files: records framed by their length and checksums.

A record is 8 bytes of length, their masked CRC-32C, the data, their masked CRC-32C (little endian;
tensorflow/core/lib/io/record_writer).
"""

import os
import struct
from pathlib import Path

import google_crc32c

HEADER = struct.Struct("<QI")
FOOTER = struct.Struct("<I")


def frame(data: bytes) -> bytes:
    """Return a record around `data`: length, its checksum, data, its checksum."""
    length = struct.pack("<Q", len(data))
    return length + FOOTER.pack(_masked_crc(length)) + data + FOOTER.pack(_masked_crc(data))


def size(length: int) -> int:
    """Return the bytes that a record of `length` bytes of data takes in its file."""
    return HEADER.size + length + FOOTER.size


def read(path: Path, offset: int, length: int) -> bytes:
    """Return the `length` bytes of data of the record at `offset`; threads may read side by side.

    Raises:
        ValueError: the file ends before the record does, or a checksum does not match.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        record = os.pread(file, size(length), offset)
    finally:
        os.close(file)
    if len(record) < size(length):
        raise ValueError(
            f"ends after {len(record)} of {size(length)} bytes: the file was cut short"
        )
    data = record[HEADER.size : -FOOTER.size]
    stored_length, length_crc = HEADER.unpack_from(record)
    (data_crc,) = FOOTER.unpack_from(record, HEADER.size + length)
    sound = stored_length == length and length_crc == _masked_crc(record[:8])
    if not sound or data_crc != _masked_crc(data):
        raise ValueError("does not match its CRC-32C: the file is damaged")
    return data


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
