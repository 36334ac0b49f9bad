"""Pictures for people: masks in colour, image and mask blended, rows with a legend."""

import hashlib
import re
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fcn.datasets.shared.sample import IGNORE_INDEX
from fcn.records.labels import Labels
from fcn.records.record import DecodedSample

IGNORED = (224, 224, 192)
"""Colour of ignored pixels: the cream of PASCAL VOC's void border."""
MARK = (255, 0, 255)
"""Colour of what is wrong: magenta."""
PANEL = 252
"""Least width of a panel in pixels; smaller images are enlarged by a whole factor."""
LARGEST = 1024
"""Longest side of a panel in pixels; larger images are made smaller."""
GAP = 4
"""Pixels between panels."""
LINE = 16
"""Height of a line of text in pixels."""
BOXES = 30
"""Most boxes drawn around wrong pixels, for those that are easily overlooked."""
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def colour(mask: np.ndarray, labels: Labels) -> np.ndarray:
    """Return the mask H W in the classes' colours, uint8 H W 3; what is no class in magenta."""
    palette = np.full((IGNORE_INDEX + 1, 3), MARK, np.uint8)
    palette[: len(labels.colours)] = labels.colours
    palette[IGNORE_INDEX] = IGNORED
    return palette[mask]


def rgb(image: np.ndarray) -> np.ndarray:
    """Return an image H W C as uint8 H W 3."""
    return np.broadcast_to(image, (*image.shape[:2], 3)).astype(np.uint8)


def blend(image: np.ndarray, mask: np.ndarray, labels: Labels) -> np.ndarray:
    """Return image and coloured mask half and half; class 0 leaves the image as it is."""
    base = rgb(image).astype(np.uint16)
    mixed = (base + colour(mask, labels)) // 2
    return np.where((mask == 0)[..., None], base, mixed).astype(np.uint8)


def fitting(pixels: np.ndarray, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return an image, or a mask H W, no larger than `LARGEST`, or of the height and width given.

    Masks take the nearest pixel, images the mean over what becomes one pixel.
    """
    height, width = shape[:2] if shape is not None else pixels.shape[:2]
    factor = min(1, LARGEST / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if size == pixels.shape[1::-1]:
        return pixels
    how = cv2.INTER_NEAREST if pixels.ndim == 2 else cv2.INTER_AREA
    return cv2.resize(pixels, size, interpolation=how).reshape(*size[::-1], *pixels.shape[2:])


def marked(pixels: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Return uint8 h w 3 with the `wrong` pixels, bool H W not smaller, magenta and in boxes."""
    shown = pixels.copy()
    height, width = pixels.shape[:2]
    # A pixel is marked if any of those that became it is wrong: not one is lost.
    tops, lefts = (
        np.arange(n) * of // n for n, of in zip((height, width), wrong.shape, strict=True)
    )
    there = np.logical_or.reduceat(np.logical_or.reduceat(wrong, tops, axis=0), lefts, axis=1)
    shown[there] = MARK
    margin = 2 + max(height, width) // 100
    near = cv2.dilate(there.astype(np.uint8), np.ones((2 * margin + 1, 2 * margin + 1), np.uint8))
    _, _, boxes, _ = cv2.connectedComponentsWithStats(near)
    small = [box for box in boxes[1:].tolist() if box[2] * box[3] < height * width / 4]
    for left, top, wide, high, _ in small[:BOXES]:
        corner = (left + wide - 1, top + high - 1)
        cv2.rectangle(shown, (left, top), corner, MARK, max(2, margin // 4))
    return shown


def file_name(name: str) -> str:
    """Return a short name for a file that stands for an id of any length and characters."""
    plain = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)[:80]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def compared(example: DecodedSample, mask: np.ndarray, labels: Labels) -> Image.Image:
    """Return input, truth, the predicted mask H W and where the two differ side by side."""
    wrong = (example.label != mask) & (example.label != IGNORE_INDEX)
    panels = [
        ("input", rgb(example.image)),
        ("truth", colour(example.label, labels)),
        ("prediction", colour(mask, labels)),
        ("wrong", np.where(wrong[..., None], np.array(MARK, np.uint8), rgb(example.image) // 3)),
    ]
    return row(panels, np.union1d(example.label, mask), labels)


def row(
    panels: Sequence[tuple[str, np.ndarray]],
    present: np.ndarray,
    labels: Labels,
    caption: Sequence[str] = (),
) -> Image.Image:
    """Return titled panels side by side, over a legend of the classes that are `present`.

    All panels, uint8 H W 3, are of one size. Below the legend stand the lines of the caption.
    """
    side = max(panels[0][1].shape[:2])
    factor = max(1, min(-(-PANEL // panels[0][1].shape[1]), LARGEST // side))
    height, width = (size * factor for size in panels[0][1].shape[:2])
    font = ImageFont.load_default(size=12)
    step = width + GAP
    total = max(step * len(panels) - GAP, PANEL)
    names = legend(present, labels, total)
    said = [part for text in caption for part in _broken(text, total, font)]
    below = LINE + height + names.height
    picture = Image.new("RGB", (total, below + LINE * len(said)), "white")
    draw = ImageDraw.Draw(picture)
    for number, (title, pixels) in enumerate(panels):
        draw.text((number * step + 2, 1), _cut(title, width, font), "black", font)
        panel = Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)
        picture.paste(panel, (number * step, LINE))
    picture.paste(names, (0, LINE + height))
    for number, text in enumerate(said):
        draw.text((2, below + number * LINE), text, "black", font)
    return picture


def legend(present: np.ndarray, labels: Labels, width: int) -> Image.Image:
    """Return names and colours of the classes that are `present`, in lines of `width` pixels."""
    entries = [(labels.classes[k], labels.colours[k]) for k in present if k < len(labels.classes)]
    if IGNORE_INDEX in present:
        entries.append(("ignored", IGNORED))
    font = ImageFont.load_default(size=12)
    lines = _wrap(entries, width, font)
    picture = Image.new("RGB", (width, LINE * len(lines)), "white")
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        top = number * LINE
        for left, name, swatch in line:
            draw.rectangle((left + 2, top + 3, left + 11, top + 12), swatch, "black")
            draw.text((left + 15, top + 1), name, "black", font)
    return picture


def _cut(text: str, width: int, font: Font) -> str:
    """Return as much of a line as fits into `width` pixels."""
    shown = len(text)
    while shown and font.getlength(text[:shown]) > width - GAP:
        shown -= 1
    return text[:shown]


def _wrap(
    entries: Sequence[tuple[str, tuple[int, int, int]]], width: int, font: Font
) -> list[list[tuple[int, str, tuple[int, int, int]]]]:
    """Return the legend's lines: left edge, name and colour of each entry."""
    lines: list[list[tuple[int, str, tuple[int, int, int]]]] = [[]]
    left = 0
    for name, swatch in entries:
        needed = 15 + round(font.getlength(name)) + 10
        if left and left + needed > width:
            lines.append([])
            left = 0
        lines[-1].append((left, name, swatch))
        left += needed
    return lines


def _broken(text: str, width: int, font: Font) -> list[str]:
    """Return a text as lines no wider than `width` pixels, broken between words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width - 4:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
