"""One class cut out of pictures: a white contour, nothing around it, as messengers take it.

    python -m fcn sticker person photo.jpg
    python -m fcn sticker cat pets/ --model voc2012-fcn8s --out stickers

Writes `photo-person.png` and `photo-person.webp`: 512x512 pixels, the object's longer side filling
them. The contour is what an erosion by 5x5 takes away, as in D. Pakhomov's stickers (tf-image-
segmentation, 2017), taken at the sticker's size so that small objects get the same line.

Sizes: Telegram wants PNG or WebP with a side of 512 (core.telegram.org/stickers), WhatsApp WebP of
512x512 in at most 100 KB (github.com/WhatsApp/stickers).
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from fcn.common import files, messages
from fcn.common.text import nearest
from fcn.pictures import photos
from fcn.pictures.overlay import file_name, rgb
from fcn.pictures.provenance import stamped
from fcn.prediction import answering
from fcn.prediction.answering import Answer, Skipped
from fcn.records.record import Labels

SIDE = 512
EROSION = 5
BYTES = 100_000
"""The largest WebP."""
QUALITIES = (90, 75, 60, 45, 30, 15)
"""WebP's, tried in this order until one is small enough."""


def number(name: str, labels: Labels) -> int:
    """Return the index of a class.

    Raises:
        ValueError: the model does not know it.
    """
    if name not in labels.classes:
        raise ValueError(f"the model knows no class {name!r}; {nearest(name, labels.classes)}")
    return labels.classes.index(name)


def cut(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return uint8 512 512 4 (RGBA) of what is `inside`, bool H W with at least one True."""
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    seen, shape = rgb(image)[box], inside[box].astype(np.float32)
    factor = SIDE / max(shape.shape)
    height, width = (max(1, round(side * factor)) for side in shape.shape)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    seen = cv2.resize(seen, (width, height), interpolation=how)
    smooth = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    within = (cv2.resize(shape, (width, height), interpolation=smooth) >= 0.5).astype(np.uint8)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    whole = np.zeros((SIDE, SIDE), np.uint8)
    whole[top : top + height, left : left + width] = within
    # Beyond the canvas is outside: an object that touches its border gets the contour there too.
    kept = cv2.erode(
        whole, np.ones((EROSION, EROSION), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    sticker = np.zeros((SIDE, SIDE, 4), np.uint8)
    sticker[top : top + height, left : left + width, :3] = seen
    sticker[(whole > kept)] = 255
    sticker[whole == 0] = 0
    sticker[..., 3] = 255 * whole
    return sticker


def write(answer: Answer, facts: dict[str, str], wanted: int, name: str, stem: Path) -> bool:
    """Write the sticker of the class `wanted` as PNG and WebP; return whether there is one."""
    inside = answer.mask == wanted
    if not inside.any():
        return False
    picture = Image.fromarray(cut(answer.image, inside))
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    stem = stem.with_name(f"{stem.name}-{file_name(name)}")
    files.write_bytes(stem.with_name(f"{stem.name}.png"), stamped(encoded.getvalue(), facts))
    files.write_bytes(stem.with_name(f"{stem.name}.webp"), webp(picture))
    return True


def webp(picture: Image.Image) -> bytes:
    """Return a WebP of no more than `BYTES`, as good as that allows."""
    for quality in QUALITIES:
        encoded = io.BytesIO()
        picture.save(encoded, "WEBP", quality=quality)
        if encoded.tell() <= BYTES:
            break
    return encoded.getvalue()


def main(arguments: Sequence[str]) -> int:
    """Read the command line, answer, write the stickers; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m fcn sticker",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="CLASS", help="what to cut out")
    answering.add_arguments(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("stickers"), help="where files go (%(default)s)"
    )
    chosen = parser.parse_args(arguments)
    found = photos.find(chosen.pictures)
    files.require_writable(chosen.out)
    short = answering.names(found)
    made, skipped = 0, list[Skipped]()
    with answering.opened(chosen) as model:
        wanted = number(chosen.name, model.labels)
        for one in answering.answers(model, found, chosen.tile, chosen.batch):
            messages.say(f"{made + len(skipped) + 1} of {len(found)}: {one.name}", last=False)
            if isinstance(one, Skipped):
                skipped.append(one)
            elif write(one, model.facts, wanted, chosen.name, chosen.out / short[one.name]):
                made += 1
            else:
                skipped.append(Skipped(one.name, f"no {chosen.name} in it"))
    return answering.summary(made, skipped, chosen.out)
