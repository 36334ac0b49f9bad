"""Alter examples at random: where their pixels stand, image and label together; and their colours.

Images are resized bilinearly, labels by the nearest pixel, so that no label is ever invented. What
comes in from outside an image is black, and ignored in its mask: nobody knows what was there.
"""

import cv2
import grain
import numpy as np

from fcn.datasets.shared.dataset import IGNORE_INDEX
from fcn.settings.training import Training

Example = dict[str, np.ndarray]
"""image uint8 H W C; label uint8 H W for a network, or a scalar for a classifier."""
GREY = np.array([0.299, 0.587, 0.114])
"""Shares of R, G and B in the grey of ITU-R BT.601."""


class Augment(grain.transforms.RandomMap):
    """What the settings ask for: flip, scale, translation, crop, colours, in this order.

    Black from outside comes in after the image is resized: it mixes with no colour.
    """

    def __init__(self, training: Training) -> None:
        """Keep the settings."""
        self.training = training

    def random_map(self, element: Example, rng: np.random.Generator) -> Example:
        """Return the altered example; `rng` is Grain's, seeded per example and epoch."""
        wanted, image, label = self.training, element["image"], element["label"]
        if wanted.flip and rng.random() < 0.5:
            image = np.ascontiguousarray(image[:, ::-1])  # OpenCV takes no steps backwards
            label = np.ascontiguousarray(label[:, ::-1]) if label.ndim else label
        size = wanted.crop or image.shape[:2]
        if wanted.scale:
            image, label = scaled(image, label, rng.uniform(*wanted.scale))
        if wanted.translate:
            down, right = rng.integers(-wanted.translate, wanted.translate + 1, size=2)
            image, label = _windows(image, label, -down, -right, *image.shape[:2])
        if size != image.shape[:2]:
            # Anywhere that wastes no place: inside the image, or with all of the image inside.
            top, left = (
                int(rng.integers(min(0, have - need), max(0, have - need) + 1))
                for have, need in zip(image.shape[:2], size, strict=True)
            )
            image, label = _windows(image, label, top, left, *size)
        if wanted.brightness or wanted.contrast or wanted.saturation:
            strengths = np.array([wanted.brightness, wanted.contrast, wanted.saturation])
            image = recoloured(image, *(1 + strengths * rng.uniform(-1, 1, size=3)))
        return {"image": image, "label": label}


def asked(training: Training) -> bool:
    """Return whether the settings ask for anything that is done here."""
    moves = training.translate or training.flip or training.scale or training.crop
    return bool(moves or training.brightness or training.contrast or training.saturation)


def window(
    pixels: np.ndarray, top: int, left: int, height: int, width: int, fill: int
) -> np.ndarray:
    """Return height width … of pixels H W … from `top` and `left` on, `fill` outside of them."""
    high, wide = pixels.shape[:2]
    seen = np.full((height, width, *pixels.shape[2:]), fill, pixels.dtype)
    first, last = max(top, 0), min(top + height, high)
    begin, end = max(left, 0), min(left + width, wide)
    if first < last and begin < end:
        seen[first - top : last - top, begin - left : end - left] = pixels[first:last, begin:end]
    return seen


def _windows(
    image: np.ndarray, label: np.ndarray, top: int, left: int, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    image = window(image, top, left, height, width, 0)
    return image, window(label, top, left, height, width, IGNORE_INDEX) if label.ndim else label


def scaled(image: np.ndarray, label: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Return both with height and width times `factor`, at least 1 pixel each."""
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    sides = (width, height)  # as OpenCV wants them
    resized = cv2.resize(image, sides, interpolation=cv2.INTER_LINEAR)
    if label.ndim:
        # `INTER_NEAREST` rounds down: it would stand half a pixel beside the image.
        label = cv2.resize(label, sides, interpolation=cv2.INTER_NEAREST_EXACT)
    return resized.reshape(height, width, -1), label


def recoloured(
    image: np.ndarray, brightness: float, contrast: float, saturation: float
) -> np.ndarray:
    """Return uint8 H W C with colours multiplied, moved from the mean grey, and from their own.

    The definitions are torchvision's (`ColorJitter`), as one linear map that is rounded and cut
    off at 0 and 255 only at its end. 1 leaves a property as it is.
    """
    channels = image.shape[-1]
    shares = GREY if channels == 3 else np.ones(1)
    mean = float(image.reshape(-1, channels).mean(axis=0) @ shares)
    own = saturation * np.eye(channels) + (1 - saturation) * shares
    mapped = np.column_stack(
        [brightness * contrast * own, np.full(channels, brightness * (1 - contrast) * mean)]
    )
    # In float32: on uint8, OpenCV rounds the numbers of the map to a few binary digits.
    changed = cv2.transform(image.astype(np.float32), mapped)
    pixels: np.ndarray = np.clip(np.rint(changed), 0, 255).astype(np.uint8)
    return pixels.reshape(image.shape)
