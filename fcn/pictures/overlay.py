"""Draw masks in colour, blended with their images, and in rows of panels with a legend."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fcn.records.labels import Labels
from fcn.records.record import DecodedSample
from fcn.records.sample import IGNORE_INDEX

IGNORED_COLOUR = (224, 224, 192)
"""Colour of ignored pixels: the cream of PASCAL VOC's void border."""
WRONG_COLOUR = (255, 0, 255)
"""Colour of wrong pixels: magenta."""
MIN_PANEL_WIDTH = 252
"""In pixels; a narrower image is enlarged by a whole factor."""
MAX_PANEL_SIDE = 1024
"""In pixels; an image with a longer side is reduced."""
PANEL_GAP = 4
"""Pixels between panels."""
LINE_HEIGHT = 16
"""Height of a line of text in pixels."""
MAX_BOXES = 30
"""Most boxes drawn around wrong pixels."""
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def colourise(mask: np.ndarray, labels: Labels) -> np.ndarray:
    """Return the mask H W in the classes' colours, uint8 H W 3; invalid values in magenta."""
    palette = np.full((IGNORE_INDEX + 1, 3), WRONG_COLOUR, np.uint8)
    palette[: len(labels.colours)] = labels.colours
    palette[IGNORE_INDEX] = IGNORED_COLOUR
    return palette[mask]


def to_rgb(image: np.ndarray) -> np.ndarray:
    """Return an image H W C as uint8 H W 3."""
    return np.broadcast_to(image, (*image.shape[:2], 3)).astype(np.uint8)


def blend(image: np.ndarray, mask: np.ndarray, labels: Labels) -> np.ndarray:
    """Return the mean of image and coloured mask; pixels of class 0 keep the image's values."""
    base = to_rgb(image).astype(np.uint16)
    mixed = (base + colourise(mask, labels)) // 2
    return np.where((mask == 0)[..., None], base, mixed).astype(np.uint8)


def reduce_to_fit(pixels: np.ndarray, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return an image H W C or a mask H W, its longest side at most `MAX_PANEL_SIDE`.

    A mask takes the nearest pixel, an image the mean of the pixels that are merged.

    Args:
        pixels: the image or the mask.
        shape: height and width to start from instead of the picture's own, so that an image gets
            the size of another one.
    """
    height, width = shape[:2] if shape is not None else pixels.shape[:2]
    factor = min(1, MAX_PANEL_SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if size == pixels.shape[1::-1]:
        return pixels
    interpolation = cv2.INTER_NEAREST if pixels.ndim == 2 else cv2.INTER_AREA
    resized = cv2.resize(pixels, size, interpolation=interpolation)
    return resized.reshape(*size[::-1], *pixels.shape[2:])


def mark_wrong(pixels: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Return a copy of a picture with its wrong pixels in magenta and small areas of them in boxes.

    Args:
        pixels: uint8 h w 3.
        wrong: bool H W, at least as large as the picture.
    """
    result = pixels.copy()
    height, width = pixels.shape[:2]
    # A pixel is marked if any of the pixels that it was reduced from is wrong: none is lost.
    tops, lefts = (
        np.arange(size) * full_size // size
        for size, full_size in zip((height, width), wrong.shape, strict=True)
    )
    marked = np.logical_or.reduceat(np.logical_or.reduceat(wrong, tops, axis=0), lefts, axis=1)
    result[marked] = WRONG_COLOUR
    margin = 2 + max(height, width) // 100
    kernel = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(cv2.dilate(marked.astype(np.uint8), kernel))
    small = [box for box in boxes[1:].tolist() if box[2] * box[3] < height * width / 4]
    for left, top, box_width, box_height, _ in small[:MAX_BOXES]:
        corner = (left + box_width - 1, top + box_height - 1)
        cv2.rectangle(result, (left, top), corner, WRONG_COLOUR, max(2, margin // 4))
    return result


def draw_comparison(example: DecodedSample, mask: np.ndarray, labels: Labels) -> Image.Image:
    """Return input, truth, predicted mask H W and wrong pixels side by side."""
    wrong = (example.label != mask) & (example.label != IGNORE_INDEX)
    image = to_rgb(example.image)
    panels = [
        ("input", image),
        ("truth", colourise(example.label, labels)),
        ("prediction", colourise(mask, labels)),
        ("wrong", np.where(wrong[..., None], np.array(WRONG_COLOUR, np.uint8), image // 3)),
    ]
    return draw_row(panels, np.union1d(example.label, mask), labels)


def draw_row(
    panels: Sequence[tuple[str, np.ndarray]],
    present: np.ndarray,
    labels: Labels,
    caption: Sequence[str] = (),
) -> Image.Image:
    """Return panels side by side, their titles above and a legend and a caption below.

    Args:
        panels: titles and pixels, uint8 H W 3, all of one size.
        present: mask values that the legend explains.
        labels: the classes.
        caption: texts, each on new lines.
    """
    side = max(panels[0][1].shape[:2])
    factor = max(1, min(-(-MIN_PANEL_WIDTH // panels[0][1].shape[1]), MAX_PANEL_SIDE // side))
    height, width = (size * factor for size in panels[0][1].shape[:2])
    font = ImageFont.load_default(size=12)
    step = width + PANEL_GAP
    total = max(step * len(panels) - PANEL_GAP, MIN_PANEL_WIDTH)
    legend = draw_legend(present, labels, total)
    caption_lines = [line for text in caption for line in _wrap_text(text, total, font)]
    caption_top = LINE_HEIGHT + height + legend.height
    size = (total, caption_top + LINE_HEIGHT * len(caption_lines))
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for number, (title, pixels) in enumerate(panels):
        draw.text((number * step + 2, 1), _truncate(title, width, font), "black", font)
        panel = Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)
        picture.paste(panel, (number * step, LINE_HEIGHT))
    picture.paste(legend, (0, LINE_HEIGHT + height))
    for number, text in enumerate(caption_lines):
        draw.text((2, caption_top + number * LINE_HEIGHT), text, "black", font)
    return picture


def draw_legend(present: np.ndarray, labels: Labels, width: int) -> Image.Image:
    """Return names and colours of the classes in `present`, in lines of `width` pixels."""
    entries = [(labels.classes[k], labels.colours[k]) for k in present if k < len(labels.classes)]
    if IGNORE_INDEX in present:
        entries.append(("ignored", IGNORED_COLOUR))
    font = ImageFont.load_default(size=12)
    lines = _wrap_legend(entries, width, font)
    picture = Image.new("RGB", (width, LINE_HEIGHT * len(lines)), "white")
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        top = number * LINE_HEIGHT
        for left, name, swatch in line:
            draw.rectangle((left + 2, top + 3, left + 11, top + 12), swatch, "black")
            draw.text((left + 15, top + 1), name, "black", font)
    return picture


def _truncate(text: str, width: int, font: Font) -> str:
    """Return as much of a line as fits into `width` pixels."""
    length = len(text)
    while length and font.getlength(text[:length]) > width - PANEL_GAP:
        length -= 1
    return text[:length]


def _wrap_legend(
    entries: Sequence[tuple[str, tuple[int, int, int]]], width: int, font: Font
) -> list[list[tuple[int, str, tuple[int, int, int]]]]:
    """Return the legend's lines: left edge, name and colour of each entry."""
    lines: list[list[tuple[int, str, tuple[int, int, int]]]] = [[]]
    left = 0
    for name, swatch in entries:
        entry_width = 15 + round(font.getlength(name)) + 10
        if left and left + entry_width > width:
            lines.append([])
            left = 0
        lines[-1].append((left, name, swatch))
        left += entry_width
    return lines


def _wrap_text(text: str, width: int, font: Font) -> list[str]:
    """Return a text as lines of at most `width` pixels, broken between words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width - 4:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
