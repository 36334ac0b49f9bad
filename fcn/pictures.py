"""Pictures for people: masks in colour, image and mask blended, rows with a legend."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fcn.dataset import IGNORE
from fcn.records import Labels

IGNORED = (224, 224, 192)
"""Colour of ignored pixels: the cream of PASCAL VOC's void border."""
PANEL = 252
"""Least width of a panel in pixels; smaller images are enlarged by a whole factor."""
GAP = 4
"""Pixels between panels."""
LINE = 16
"""Height of a line of text in pixels."""
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def colour(mask: np.ndarray, labels: Labels) -> np.ndarray:
    """Return the mask H W in the classes' colours, uint8 H W 3."""
    palette = np.full((IGNORE + 1, 3), IGNORED, np.uint8)
    palette[: len(labels.colours)] = labels.colours
    return palette[mask]


def rgb(image: np.ndarray) -> np.ndarray:
    """Return an image H W C as uint8 H W 3."""
    return np.broadcast_to(image, (*image.shape[:2], 3)).astype(np.uint8)


def blend(image: np.ndarray, mask: np.ndarray, labels: Labels) -> np.ndarray:
    """Return image and coloured mask half and half; class 0 leaves the image as it is."""
    base = rgb(image).astype(np.uint16)
    mixed = (base + colour(mask, labels)) // 2
    return np.where((mask == 0)[..., None], base, mixed).astype(np.uint8)


def row(
    panels: Sequence[tuple[str, np.ndarray]], present: np.ndarray, labels: Labels
) -> Image.Image:
    """Return titled panels side by side, over a legend of the classes that are `present`."""
    factor = max(1, -(-PANEL // panels[0][1].shape[1]))
    height, width = (size * factor for size in panels[0][1].shape[:2])
    entries = [(labels.classes[k], labels.colours[k]) for k in present if k < len(labels.classes)]
    if IGNORE in present:
        entries.append(("ignored", IGNORED))
    font = ImageFont.load_default(size=12)
    step = width + GAP
    total = step * len(panels) - GAP
    lines = _wrap(entries, total, font)
    picture = Image.new("RGB", (total, LINE + height + LINE * len(lines)), "white")
    draw = ImageDraw.Draw(picture)
    for number, (title, pixels) in enumerate(panels):
        draw.text((number * step + 2, 1), title, "black", font)
        panel = Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)
        picture.paste(panel, (number * step, LINE))
    for number, line in enumerate(lines):
        top = LINE + height + number * LINE
        for left, name, swatch in line:
            draw.rectangle((left + 2, top + 3, left + 11, top + 12), swatch, "black")
            draw.text((left + 15, top + 1), name, "black", font)
    return picture


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
