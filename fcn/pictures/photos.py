"""Pictures that people bring: found, and read as a network takes them, upright and in 8 bits.

What a data set brings is read by `fcn.datasets.shared.masks` and `fcn.records.record` instead: there the orientation in
EXIF does not count, since masks are drawn on the pixels as stored.
"""

import glob
import io
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""What is opened, and by their names: Pillow would hand an EPS to another program."""
SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".pbm", ".pgm", ".ppm"),
)
"""What is taken from a folder."""
PIXELS = 2**27
"""The largest picture, 134 million pixels: 0.4 GB as RGB."""
STDIN = "-"
"""Stands for the picture on standard input."""
DEEP = ("I", "I;16", "I;16B", "I;16L")
"""Pillow's modes of 16-bit grey; its own conversion would cut off all above 255."""
SEVERAL = ("GIF", "PNG", "WEBP", "TIFF")
"""Formats whose pictures may be many. A camera's MPO has a preview behind the picture."""

# As in fcn.datasets.shared.masks; what is refused here is less, and named.
Image.MAX_IMAGE_PIXELS = 2**30


def find(named: Iterable[str]) -> list[str]:
    """Return the pictures that files, folders, patterns and `-` name, each once, in order.

    A name that stands for no picture is kept, and `content` says why: the others go on.

    Raises:
        ValueError: no name stands for a picture.
    """
    found: dict[str, None] = {}
    for name in named:
        path = Path(name)
        if path.is_dir():
            these = sorted(str(inside) for inside in path.iterdir() if _is_picture(inside))
        elif name == STDIN or path.is_file():
            these = [name]
        else:
            matching = glob.glob(name, recursive=True)  # noqa: PTH207  Path's takes no /…
            these = sorted(match for match in matching if Path(match).is_file())
        found |= dict.fromkeys(these or [name])
    wrong = [_missing(name) for name in found]
    if all(wrong):
        said = zip(found, wrong, strict=True)
        raise ValueError("; ".join(f"{name}: {why}" for name, why in said))
    return list(found)


def _missing(name: str) -> str:
    """Say why a name stands for no picture; nothing if it may."""
    if Path(name).is_dir():
        return f"a folder that holds no pictures ({', '.join(SUFFIXES)})"
    if name != STDIN and not Path(name).is_file():
        return "there is no such file, and no file matches it"
    return ""


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")


def content(name: str) -> bytes:
    """Return the bytes of a picture that `find` found.

    Raises:
        ValueError: there is none of this name.
    """
    if why := _missing(name):
        raise ValueError(why)
    return sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()


def read(encoded: bytes, channels: int, limit: int = PIXELS) -> np.ndarray:
    """Return a picture of no more than `limit` pixels as uint8 H W C, turned as its EXIF says.

    16 bits become the upper 8, CMYK and palettes become RGB, what is transparent becomes white.

    Raises:
        ValueError: it is no picture, is cut short, moves, or has too many pixels.
    """
    if not encoded:
        raise ValueError("an empty file of 0 bytes")
    try:
        with warnings.catch_warnings():
            # Of damage that changes no pixel, and of sizes that are refused here in any case.
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(encoded), formats=FORMATS)
            _require_usable(picture, limit)
            upright = ImageOps.exif_transpose(picture)
            upright.load()
    except Image.DecompressionBombError:
        raise ValueError(
            f"more than {limit:,} pixels, which is the limit; make it smaller"
        ) from None
    except UnidentifiedImageError:
        allowed = ", ".join(FORMATS)
        raise ValueError(f"{len(encoded)} bytes that are no picture; allowed: {allowed}") from None
    except (OSError, SyntaxError, EOFError, IndexError, TypeError, OverflowError) as error:
        raise ValueError(f"damaged or cut short ({error}); get or save it again") from None
    pixels = np.asarray(_eight_bits(upright).convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)


def _require_usable(picture: Image.Image, limit: int) -> None:
    """Refuse by the header what would take too much memory, or is more than one picture."""
    width, height = picture.size
    if width * height > limit:
        raise ValueError(
            f"{width}x{height} is {width * height:,} pixels; the limit is {limit:,}: make it "
            "smaller or cut it into parts"
        )
    frames = getattr(picture, "n_frames", 1)
    if picture.format in SEVERAL and frames > 1:
        raise ValueError(
            f"a {picture.format} of {frames} pictures; allowed: one. Save one of them alone, or a "
            "video as mp4"
        )


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Return the picture in a mode that Pillow converts without loss of meaning.

    Raises:
        ValueError: its numbers are no brightness that anybody knows the white of.
    """
    if picture.mode in DEEP:
        deep = np.asarray(picture).astype(np.int64)
        if deep.min() < 0 or deep.max() > 0xFFFF:
            raise ValueError("brightness beyond 16 bits; allowed: 8 or 16 bits a channel")
        return Image.fromarray((deep >> 8).astype(np.uint8))
    if picture.mode == "F":
        raise ValueError("brightness in fractions (mode F); allowed: 8 or 16 bits a channel")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture)
    return picture
