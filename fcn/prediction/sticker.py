"""One class cut out of pictures: a white contour on a transparent background.

The contour is the band that an erosion by 5x5 removes, as in D. Pakhomov's stickers (tf-image-
segmentation, 2017), but at the sticker's size, so that small objects get the same line.

Sizes: Telegram requires PNG or WebP with a side of 512 pixels (core.telegram.org/stickers),
WhatsApp WebP of 512x512 in at most 100 KB (github.com/WhatsApp/stickers).
"""

import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from fcn.common import files
from fcn.common.text import file_name, nearest
from fcn.pictures import photos
from fcn.pictures.overlay import to_rgb
from fcn.pictures.provenance import embed_facts
from fcn.prediction import outputs, predictor
from fcn.prediction.options import PredictorOptions
from fcn.prediction.predictor import Failure, Segmentation
from fcn.records.labels import Labels
from fcn.runtime import interrupts

SIDE = 512
"""Of a sticker in pixels."""
EROSION = 5
"""Side of the kernel in pixels: the contour is 2 pixels wide."""
BYTES = 100_000
"""Size limit of the WebP file."""
QUALITIES = (90, 75, 60, 45, 30, 15)
"""WebP qualities, tried in this order until the file is small enough."""


def number(name: str, labels: Labels) -> int:
    """Return the index of a class.

    Raises:
        ValueError: the model does not have it.
    """
    if name not in labels.classes:
        raise ValueError(f"the model has no class {name!r}; {nearest(name, labels.classes)}")
    return labels.classes.index(name)


def cut(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return uint8 512 512 4 (RGBA) of what is `inside`, bool H W with at least one True."""
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    pixels, shape = to_rgb(image)[box], inside[box].astype(np.float32)
    factor = SIDE / max(shape.shape)
    height, width = (max(1, round(side * factor)) for side in shape.shape)
    of_pixels = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    pixels = cv2.resize(pixels, (width, height), interpolation=of_pixels)
    of_shape = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    within = (cv2.resize(shape, (width, height), interpolation=of_shape) >= 0.5).astype(np.uint8)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    whole = np.zeros((SIDE, SIDE), np.uint8)
    whole[top : top + height, left : left + width] = within
    # A zero border: an object that touches the canvas's border gets the contour there too.
    eroded = cv2.erode(
        whole, np.ones((EROSION, EROSION), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    sticker = np.zeros((SIDE, SIDE, 4), np.uint8)
    sticker[top : top + height, left : left + width, :3] = pixels
    sticker[whole > eroded] = 255
    sticker[whole == 0] = 0
    sticker[..., 3] = 255 * whole
    return sticker


def write(
    segmentation: Segmentation, facts: dict[str, str], index: int, name: str, stem: Path
) -> list[Path]:
    """Write the sticker of the class `index` as PNG and WebP; return none if it does not occur."""
    inside = segmentation.mask == index
    if not inside.any():
        return []
    picture = Image.fromarray(cut(segmentation.image, inside))
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    stem = stem.with_name(f"{stem.name}-{file_name(name, ascii_only=False)}")
    written = [stem.with_name(stem.name + end) for end in (".png", ".webp")]
    files.write_bytes(written[0], embed_facts(encoded.getvalue(), facts))
    files.write_bytes(written[1], webp(picture))
    return written


def webp(picture: Image.Image) -> bytes:
    """Return a WebP of at most `BYTES`, in the best quality that allows."""
    for quality in QUALITIES:
        encoded = io.BytesIO()
        picture.save(encoded, "WEBP", quality=quality)
        if encoded.tell() <= BYTES:
            break
    return encoded.getvalue()


def stickers(name: str, pictures: Sequence[str], options: PredictorOptions, out: Path) -> int:
    """Cut the class `name` out of pictures into the folder `out`; return the exit code.

    Raises:
        ValueError: there is no picture, no such model or class, or `out` is not writable.
    """
    names = photos.find(pictures)
    files.require_writable(out)
    stems = outputs.stems(names)
    done, failures = list[str](), list[Failure]()
    require = partial(number, name)
    with outputs.interruptible(done, len(names)), predictor.load(options, require) as model:
        index = number(name, model.labels)
        for result in outputs.with_progress(model.predict(names), len(names)):
            if isinstance(result, Failure):
                failures.append(result)
                continue
            with interrupts.delayed():
                if write(result, model.provenance, index, name, out / stems[result.name]):
                    done.append(result.name)
                else:
                    failures.append(Failure(result.name, f"no {name} in it"))
    return outputs.summarise(len(done), failures, f"in {out}")
