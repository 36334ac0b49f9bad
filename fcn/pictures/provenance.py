"""Write where a prediction comes from into its PNG file, as text.

The chunks are PNG's own (iTXt, W3C PNG specification, section 11.3.3.4): `identify -verbose`,
exiftool and `PIL.Image.open(path).text` show them.
"""

import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

HEADER_BYTES = 8 + 25
"""A PNG's signature and its first chunk, IHDR."""
Facts = Mapping[str, str]
"""A Latin-1 keyword of at most 79 characters, and any text."""
SOFTWARE = {"Software": "fcn-line"}
"""The first fact in every PNG that the commands write."""


def is_output(path: Path) -> bool:
    """Return whether the commands wrote a picture: a PNG that says so, or the WebP beside one."""
    if path.suffix not in (".png", ".webp"):
        return False
    mark = b"".join(_text_chunk(keyword, text) for keyword, text in SOFTWARE.items())
    try:
        with path.with_suffix(".png").open("rb") as file:
            return file.read(HEADER_BYTES + len(mark)).endswith(mark)
    except OSError:
        return False  # There is no PNG, or decoding it will give the reason.


def embed_facts(png: bytes, facts: Facts) -> bytes:
    """Return a PNG with the facts after its header; its pixels do not change."""
    chunks = b"".join(_text_chunk(keyword, text) for keyword, text in facts.items())
    return png[:HEADER_BYTES] + chunks + png[HEADER_BYTES:]


def _text_chunk(keyword: str, text: str) -> bytes:
    # No compression, no language, no translated keyword.
    body = b"iTXt" + keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode()
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def encode_mask(mask: np.ndarray, colours: Sequence[tuple[int, int, int]], facts: Facts) -> bytes:
    """Return a mask uint8 H W as a PNG of class indices with the classes' colours as palette."""
    palette = [value for colour in colours for value in colour]
    picture = Image.fromarray(mask)
    # 256 entries: with a shorter palette Pillow packs the indices into 1, 2 or 4 bits.
    picture.putpalette(palette + [0] * (3 * 256 - len(palette)))
    encoded = io.BytesIO()
    # 21 classes on 256x512 pixels: 0.2 ms, against 0.7 ms at Pillow's default level.
    picture.save(encoded, "PNG", compress_level=1)
    return embed_facts(encoded.getvalue(), facts)


def encode_rgb(pixels: np.ndarray, facts: Facts) -> bytes:
    """Return uint8 H W 3 as a PNG; for a photo OpenCV takes a third of Pillow's time."""
    succeeded, encoded = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    assert succeeded
    return embed_facts(encoded.tobytes(), facts)
