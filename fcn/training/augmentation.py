"""Random augmentation of samples: geometry of image and label together, and colours of the image.

Images are resized bilinearly, labels by nearest neighbour, so that no label is invented. Pixels
outside the image are black, and ignored in the label: their class is unknown.
"""

import cv2
import grain
import numpy as np

from fcn.records.sample import IGNORE_INDEX
from fcn.settings.training import Training

Arrays = dict[str, np.ndarray]
"""image uint8 H W C; label uint8 H W for a network, or a scalar for a classifier."""
LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of R, G and B in the grey of ITU-R BT.601."""


class Augment(grain.transforms.RandomMap):
    """Flip, scale, translate, crop and change colours, in this order, as the settings say.

    Black borders are added after the image is resized, so that they mix with no colour.
    """

    def __init__(self, training: Training) -> None:
        """Keep the settings."""
        self.training = training

    def random_map(self, element: Arrays, rng: np.random.Generator) -> Arrays:
        """Return the augmented sample; Grain seeds `rng` per sample and epoch."""
        training, image, label = self.training, element["image"], element["label"]
        if training.flip and rng.random() < 0.5:
            image = np.ascontiguousarray(image[:, ::-1])  # OpenCV takes no negative strides
            label = np.ascontiguousarray(label[:, ::-1]) if label.ndim else label
        size = training.crop or image.shape[:2]
        if training.scale:
            image, label = rescale(image, label, rng.uniform(*training.scale))
        if training.translate:
            down, right = rng.integers(-training.translate, training.translate + 1, size=2)
            image, label = _crop_or_pad_both(image, label, -down, -right, *image.shape[:2])
        if size != image.shape[:2]:
            # On each axis either the crop lies inside the image or the image inside the crop.
            top, left = (
                int(rng.integers(min(0, length - target), max(0, length - target) + 1))
                for length, target in zip(image.shape[:2], size, strict=True)
            )
            image, label = _crop_or_pad_both(image, label, top, left, *size)
        if training.brightness or training.contrast or training.saturation:
            strengths = np.array([training.brightness, training.contrast, training.saturation])
            image = recolour(image, *(1 + strengths * rng.uniform(-1, 1, size=3)))
        return {"image": image, "label": label}


def is_enabled(training: Training) -> bool:
    """Return whether the settings enable any augmentation."""
    geometry = training.translate or training.flip or training.scale or training.crop
    return bool(geometry or training.brightness or training.contrast or training.saturation)


def crop_or_pad(
    pixels: np.ndarray, top: int, left: int, height: int, width: int, fill: int
) -> np.ndarray:
    """Return the rectangle height width … of pixels H W … at `top` and `left`; `fill` outside."""
    full_height, full_width = pixels.shape[:2]
    output = np.full((height, width, *pixels.shape[2:]), fill, pixels.dtype)
    first_row, last_row = max(top, 0), min(top + height, full_height)
    first_column, last_column = max(left, 0), min(left + width, full_width)
    if first_row < last_row and first_column < last_column:
        inside = pixels[first_row:last_row, first_column:last_column]
        output[first_row - top : last_row - top, first_column - left : last_column - left] = inside
    return output


def _crop_or_pad_both(
    image: np.ndarray, label: np.ndarray, top: int, left: int, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    image = crop_or_pad(image, top, left, height, width, 0)
    if label.ndim:
        label = crop_or_pad(label, top, left, height, width, IGNORE_INDEX)
    return image, label


def rescale(image: np.ndarray, label: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Return both with height and width times `factor`, at least 1 pixel each."""
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    size = (width, height)  # OpenCV's order
    resized = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    if label.ndim:
        # `INTER_NEAREST` rounds down, which moves the label by half a pixel against the image.
        label = cv2.resize(label, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return resized.reshape(height, width, -1), label


def recolour(
    image: np.ndarray, brightness: float, contrast: float, saturation: float
) -> np.ndarray:
    """Return uint8 H W C with brightness, contrast and saturation multiplied by these factors.

    The definitions are torchvision's (`ColorJitter`), as one linear map; rounding and clipping to
    0..255 happen once, at its end. A factor of 1 changes nothing.
    """
    channels = image.shape[-1]
    luma = LUMA if channels == 3 else np.ones(1)
    mean_grey = float(image.reshape(-1, channels).mean(axis=0) @ luma)
    saturate = saturation * np.eye(channels) + (1 - saturation) * luma
    offset = np.full(channels, brightness * (1 - contrast) * mean_grey)
    matrix = np.column_stack([brightness * contrast * saturate, offset])
    # In float32: on uint8, OpenCV rounds the matrix to a few binary digits.
    changed = cv2.transform(image.astype(np.float32), matrix)
    pixels: np.ndarray = np.clip(np.rint(changed), 0, 255).astype(np.uint8)
    return pixels.reshape(image.shape)
