"""Where an answer comes from, written into the answer: text inside PNG files.

The chunks are PNG's own (iTXt, W3C PNG specification, section 11.3.3.4): `identify -verbose`,
exiftool and `PIL.Image.open(path).text` show them.
"""

import io
import struct
import zlib
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from PIL import Image

HEADER = 8 + 25
"""Bytes of a PNG's signature and its first chunk, IHDR."""
Facts = Mapping[str, str]
"""What is known of the origin: a Latin-1 keyword of at most 79 characters, and any text."""


def stamped(png: bytes, facts: Facts) -> bytes:
    """Return a PNG with the facts inside, behind its header; its pixels stay what they are."""
    chunks = b"".join(_chunk(name, text) for name, text in facts.items())
    return png[:HEADER] + chunks + png[HEADER:]


def _chunk(keyword: str, text: str) -> bytes:
    # No compression, no language, no translated keyword.
    body = b"iTXt" + keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode()
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def mask_png(mask: np.ndarray, colours: Sequence[tuple[int, int, int]], facts: Facts) -> bytes:
    """Return a mask uint8 H W as a PNG of class indices that shows in the classes' colours."""
    palette = [part for colour in colours for part in colour]
    picture = Image.fromarray(mask)
    # All 256: Pillow packs what a shorter palette allows into 1, 2 or 4 bits.
    picture.putpalette(palette + [0] * (3 * 256 - len(palette)))
    encoded = io.BytesIO()
    # Of 21 classes on 256x512 pixels: 0.2 ms, against 0.7 ms at Pillow's own level.
    picture.save(encoded, "PNG", compress_level=1)
    return stamped(encoded.getvalue(), facts)


def rgb_png(pixels: np.ndarray, facts: Facts) -> bytes:
    """Return uint8 H W 3 as a PNG; OpenCV takes a third of Pillow's time for a photo."""
    done, encoded = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    assert done
    return stamped(encoded.tobytes(), facts)
