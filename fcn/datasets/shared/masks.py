"""Read a publisher's pictures: images as they are, masks as class indices.

A mask becomes uint8 H W of class indices, `IGNORE_INDEX` for unlabelled pixels, with notes on what
is odd in its file. Masks are PNGs: other formats blur them or hold no 8-bit numbers.
"""

import io
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from fcn.records.sample import IGNORE_INDEX, LazySamples, Note, Sample

Colour = tuple[int, int, int]
Mask = tuple[np.ndarray, tuple[Note, ...]]

UNKNOWN = IGNORE_INDEX - 1
"""No class has this index: a data set has fewer than 255 classes."""
MARKS = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG\r\n\x1a\n": b"IEND"}
"""First bytes of JPEGs and PNGs, and bytes near their end."""
STRIP = 2**20
"""Pixels whose colours are looked up at once."""
TAIL = 1024
"""Bytes searched for the end: some cameras write a little after it."""
NEAREST = "save masks without smoothing (PNG, nearest neighbour when they are scaled)"

# As many as OpenCV reads; Pillow's own limit warns at masks of 10,000 x 10,000 pixels.
Image.MAX_IMAGE_PIXELS = 2**30


@dataclass(frozen=True)
class SampleFiles:
    """The files of one sample."""

    id: str
    image: Path
    mask: Path
    group: tuple[str, ...] = ()


def samples(files: Iterable[SampleFiles], read: Callable[[Path], Mask]) -> Sequence[Sample]:
    """Return the samples of `files`, read on access.

    Raises:
        ValueError: a file is missing.
    """
    files = list(files)
    for path in (path for paths in files for path in (paths.image, paths.mask)):
        if not path.is_file():
            raise ValueError(f"{path} is missing, but its split names it")

    def sample(paths: SampleFiles) -> Sample:
        mask, notes = read(paths.mask)
        return Sample(paths.id, image(paths.image), mask, paths.group, notes, paths.image)

    return LazySamples(files, sample)


def matched(images: Mapping[str, Path], masks: Mapping[str, Path]) -> list[str]:
    """Return the names that images and masks share, sorted.

    Raises:
        ValueError: an image has no mask, or a mask no image.
    """
    for files, partners, partner in ((images, masks, "mask"), (masks, images, "image")):
        alone = sorted(files.keys() - partners.keys())
        if alone:
            more = f" (and {len(alone) - 1} more have none)" if len(alone) > 1 else ""
            raise ValueError(f"{files[alone[0]]} has no {partner}{more}")
    return sorted(images)


def lines(path: Path, hint: str = "") -> list[str]:
    """Return the lines of a list that are not empty.

    Raises:
        ValueError: it is missing, empty, no text, or names something twice.
    """
    try:
        entries = [
            line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()
        ]
    except FileNotFoundError:
        raise ValueError(f"the list {path} is missing{hint}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"the list {path} is no UTF-8 text: {error}") from None
    if not entries:
        raise ValueError(f"the list {path} is empty")
    if len(set(entries)) < len(entries):
        twice = next(line for line in entries if entries.count(line) > 1)
        raise ValueError(f"the list {path} names {twice!r} twice")
    return entries


def image(path: Path) -> bytes:
    """Return the bytes of a JPEG or PNG; `fcn.records.record.encode` proves that they decode.

    Raises:
        ValueError: it has another format or was cut short.
    """
    encoded = path.read_bytes()
    ends = [end for start, end in MARKS.items() if encoded.startswith(start)]
    if not ends:
        raise ValueError(f"{path}: {_kind(encoded)}; allowed: JPEG, PNG")
    if ends[0] not in encoded[-TAIL:]:
        raise ValueError(
            f"{path}: {len(encoded)} bytes without an end marker; the file was cut short"
        )
    return encoded


def index(path: Path, ignore: int | None = IGNORE_INDEX) -> Mask:
    """Read a mask of class indices: 8-bit grey, or a palette's numbers, not its colours.

    `ignore` is the file's index of unlabelled pixels; None: it has none. RGB with three equal
    channels is read as grey and noted (`rgb_mask`).

    Raises:
        ValueError: it is no 8-bit PNG, has colours where indices are meant, or holds 255, which
            is no class.
    """
    picture = _open(path)
    notes: tuple[Note, ...] = ()
    pixels = np.array(picture, np.uint8)
    if picture.mode == "RGB":
        coloured = (pixels != pixels[..., :1]).any(axis=-1)
        if coloured.any():
            row, column = _first(coloured)
            colour = tuple(pixels[row, column].tolist())
            raise ValueError(
                f"{path}: RGB where class indices are meant: {colour} at row {row}, column "
                f"{column}; allowed: 8-bit grey or palette PNG, or `masks: colour`"
            )
        pixels = np.ascontiguousarray(pixels[..., 0])
        notes = (Note("rgb_mask", f"{path.name} is RGB with equal channels, read as grey"),)
    if ignore != IGNORE_INDEX and (pixels == IGNORE_INDEX).any():
        row, column = _first(pixels == IGNORE_INDEX)
        raise ValueError(
            f"{path}: {IGNORE_INDEX} at row {row}, column {column}, which is no class; allowed: "
            f"class indices, or `ignore: {IGNORE_INDEX}` for unlabelled pixels"
        )
    if ignore is not None:
        pixels[pixels == ignore] = IGNORE_INDEX
    return pixels, notes


def colours(path: Path, table: Mapping[Colour, int], other: int = UNKNOWN) -> Mask:
    """Read a mask of colours: each becomes its index in `table`, all other colours `other`.

    Without `other`, unknown colours are ignored and noted (`unknown_colours`).

    Raises:
        ValueError: it is no 8-bit PNG.
    """
    picture = _open(path)
    index_of = _colour_table(tuple(table.items()), other)
    mask = np.concatenate([index_of[strip] for strip in _packed(picture)])
    unknown = mask == UNKNOWN
    if not unknown.any():
        return mask, ()
    mask[unknown] = IGNORE_INDEX
    strange = np.concatenate([strip[index_of[strip] == UNKNOWN] for strip in _packed(picture)])
    values, counts = np.unique(strange, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:3]
    named = ", ".join(
        f"{(value & 255, value >> 8 & 255, value >> 16)} ×{count}"
        for value, count in zip(values[most].tolist(), counts[most].tolist(), strict=True)
    )
    row, column = _first(unknown)
    message = (
        f"{path.name}: {counts.sum()} pixels of {len(values)} colours that match no class "
        f"({named}{', …' if len(values) > len(most) else ''}), the first at row {row}, column "
        f"{column}; they are ignored. Interpolated masks? Then {NEAREST}"
    )
    return mask, (Note("unknown_colours", message),)


def _packed(picture: Image.Image) -> Iterator[np.ndarray]:
    """Yield strips of a picture with one number per colour, to save memory: 4 bytes a pixel."""
    rows = 1 + STRIP // picture.width
    for top in range(0, picture.height, rows):
        strip = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        yield np.asarray(strip.convert("RGBA")).view("<u4")[..., 0] & 0xFFFFFF


@lru_cache(maxsize=4)
def _colour_table(table: tuple[tuple[Colour, int], ...], other: int) -> np.ndarray:
    """Return the index of each of the 2^24 colours, red in the lowest byte."""
    index_of = np.full(1 << 24, other, np.uint8)
    for (red, green, blue), number in table:
        index_of[red | green << 8 | blue << 16] = number
    return index_of


def _open(path: Path) -> Image.Image:
    """Decode an 8-bit PNG of mode L, P or RGB.

    Raises:
        ValueError: it is another format, damaged, or transparent somewhere.
    """
    encoded = path.read_bytes()
    if not encoded.startswith(b"\x89PNG"):
        raise ValueError(f"{path}: {_kind(encoded)}; allowed for a mask: 8-bit PNG")
    try:
        depth = struct.unpack_from(">B", encoded, 24)[0]
        picture: Image.Image = Image.open(io.BytesIO(encoded))
        picture.load()
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise ValueError(f"{path}: a damaged PNG ({error}); get or save it again") from None
    if depth == 16:
        raise ValueError(f"{path}: a mask of 16 bits; allowed: 8-bit PNG")
    if picture.mode in ("LA", "RGBA"):
        clear = np.asarray(picture)[..., -1] < 255
        if clear.any():
            row, column = _first(clear)
            raise ValueError(
                f"{path}: transparent at row {row}, column {column}; allowed: opaque masks"
            )
        picture = picture.convert("L" if picture.mode == "LA" else "RGB")
    if picture.mode in ("1", "L") and depth < 8:
        # Pillow scales 1, 2 and 4 bits to 0..255; undo it.
        picture = Image.fromarray(np.array(picture.convert("L")) // (255 // (2**depth - 1)))
    picture.info.pop("transparency", None)  # of a palette; masks are opaque
    return picture


def _kind(encoded: bytes) -> str:
    """Return what a file of an unexpected format is, for the message."""
    try:
        with Image.open(io.BytesIO(encoded)) as picture:
            return f"a {picture.format} of mode {picture.mode}"
    except (OSError, SyntaxError, ValueError):
        return f"{len(encoded)} bytes that are no picture"


def _first(where: np.ndarray) -> tuple[int, int]:
    """Return row and column of the first True."""
    row, column = divmod(int(where.argmax()), where.shape[1])
    return row, column
