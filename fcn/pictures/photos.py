"""Find and decode a user's pictures for a network: upright, 8 bits.

`fcn.datasets.shared.masks` and `fcn.records.record` decode a data set's pictures. They ignore the
EXIF orientation, because masks are drawn on the pixels as stored.
"""

import glob
import io
import os
import sys
import warnings
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fcn.common import messages
from fcn.common.text import nearest_path
from fcn.pictures import provenance

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""Formats that may be opened. Without this list Pillow passes an EPS to an external program."""
SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".pbm", ".pgm", ".ppm"),
)
"""Files of a folder that are taken as pictures."""
MAX_PIXELS = 2**27
"""134 million pixels: 0.4 GB as RGB."""
STDIN = "-"
"""The name of the picture on standard input."""
SIXTEEN_BIT_MODES = ("I", "I;16", "I;16B", "I;16L")
"""Pillow's modes of 16-bit grey; its own conversion clips at 255."""
MULTI_FRAME_FORMATS = ("GIF", "PNG", "WEBP", "TIFF")
"""Formats whose files of several frames are refused. A camera's MPO holds a preview as well."""

# As in fcn.datasets.shared.masks. `MAX_PIXELS` is lower, and its message names the limit.
Image.MAX_IMAGE_PIXELS = 2**30


def find(names: Iterable[str]) -> dict[str, Path]:
    """Return the pictures named by files, folders, patterns and `-`, each once, in order.

    A folder's sub folders are not read, which a message says. What the commands wrote beside the
    pictures of a folder or pattern is left out. A name without a picture stays, and `read_bytes`
    raises its reason, so that the others are processed.

    Returns:
        Each picture with its path below the folder, or below the fixed part of the pattern.

    Raises:
        ValueError: no name has a picture.
    """
    pictures: dict[str, Path] = {}
    for name in names:
        for picture, below in _expand(name).items():
            pictures.setdefault(picture, below)
    problems = {name: _problem(name) for name in pictures}
    if all(problems.values()):
        raise ValueError("; ".join(f"{name}: {problem}" for name, problem in problems.items()))
    return pictures


def _expand(name: str) -> dict[str, Path]:
    """Return the pictures of one name; if it has none, the name itself."""
    path = Path(name)
    unexpanded = {name: Path("stdin" if name == STDIN else path.name)}
    if name == STDIN or path.is_file():
        return unexpanded
    if path.is_dir():
        root = path
        matches = [str(file) for file in path.iterdir() if _is_picture(file)]
        if count := sum(each.is_dir() and not each.name.startswith(".") for each in path.iterdir()):
            pattern = path / "**" / "*.jpg"
            messages.say(f"{name}: {count} sub folder(s) are not read; '{pattern}' reads them")
    else:
        root = Path(*takewhile(lambda part: not glob.has_magic(part), path.parts))
        paths = glob.glob(name, recursive=True)  # noqa: PTH207  Path's takes no /…
        matches = [match for match in paths if Path(match).is_file()]
    pictures = {
        match: Path(os.path.relpath(match, root))
        for match in sorted(matches)
        if not provenance.is_output(Path(match))
    }
    if count := len(matches) - len(pictures):
        messages.say(f"{name}: {count} picture(s) that this program wrote are left out")
    return pictures or unexpanded


def _problem(name: str) -> str:
    """Return why a name has no picture; an empty text if it may have one."""
    if Path(name).is_dir():
        return f"a folder that holds no pictures ({', '.join(SUFFIXES)})"
    if name != STDIN and not Path(name).is_file():
        return f"there is no such file, and no picture matches it{nearest_path(Path(name))}"
    if provenance.is_output(Path(name)):
        return "this program wrote it; name the picture that it was made from"
    return ""


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")


def read_bytes(name: str) -> bytes:
    """Return the bytes of a picture from `find`.

    Raises:
        ValueError: the name has no picture.
    """
    if problem := _problem(name):
        raise ValueError(problem)
    return sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()


def decode(encoded: bytes, channels: int, limit: int = MAX_PIXELS) -> np.ndarray:
    """Return a picture of at most `limit` pixels as uint8 H W C, upright by its EXIF orientation.

    16 bits become the upper 8, CMYK and palettes become RGB, transparent pixels become white.

    Raises:
        ValueError: the bytes are not a picture, are truncated, hold several frames or too many
            pixels.
    """
    if not encoded:
        raise ValueError("an empty file of 0 bytes")
    try:
        with warnings.catch_warnings():
            # Pillow warns of damage that changes no pixel, and of sizes that are refused below.
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(encoded), formats=FORMATS)
            _require_usable(picture, limit)
            upright = ImageOps.exif_transpose(picture)
            upright.load()
    except Image.DecompressionBombError:
        raise ValueError(f"more than {limit:,} pixels; the limit is {limit:,}: reduce it") from None
    except UnidentifiedImageError:
        allowed = ", ".join(FORMATS)
        raise ValueError(f"{len(encoded)} bytes, not a picture; allowed: {allowed}") from None
    except (OSError, SyntaxError, EOFError, IndexError, TypeError, OverflowError) as error:
        raise ValueError(f"damaged or truncated ({error}); download or save it again") from None
    pixels = np.asarray(_to_eight_bits(upright).convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)


def _require_usable(picture: Image.Image, limit: int) -> None:
    """Refuse a picture that is too large for memory or has several frames, by its header."""
    width, height = picture.size
    if width * height > limit:
        raise ValueError(
            f"{width}x{height} is {width * height:,} pixels; the limit is {limit:,}: reduce it or "
            "cut it into parts"
        )
    frames = getattr(picture, "n_frames", 1)
    if picture.format in MULTI_FRAME_FORMATS and frames > 1:
        raise ValueError(
            f"a {picture.format} of {frames} pictures; allowed: one. Save a single one, or a video "
            "as mp4"
        )


def _to_eight_bits(picture: Image.Image) -> Image.Image:
    """Return the picture in a mode that Pillow converts correctly.

    Raises:
        ValueError: the range of its values is unknown.
    """
    if picture.mode in SIXTEEN_BIT_MODES:
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError("brightness beyond 16 bits; allowed: 8 or 16 bits a channel")
        return Image.fromarray((values >> 8).astype(np.uint8))
    if picture.mode == "F":
        raise ValueError("brightness in fractions (mode F); allowed: 8 or 16 bits a channel")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture)
    return picture
