"""Masks whose edges follow the picture's: a guided filter over what the network is sure of.

He, Sun & Tang, "Guided Image Filtering" (ECCV 2010), algorithm 1, on OpenCV's box filter: each
class's probability becomes, in every window, the line of the picture's grey value that fits it
best. It stands where tf-image-segmentation has the dense CRF of Krähenbühl & Koltun (2011): no
package of that installs without a compiler. OpenCV has this filter in another, clashing package.
"""

import cv2
import numpy as np

RADIUS = 4
"""Half a window, in pixels: as far as edges are sought. A map of FCN-8s has stride 8."""
SMOOTH = 1e-3
"""Variance of grey values in 0..1 below which a window counts as even (the paper's epsilon)."""


def refined(
    image: np.ndarray, probabilities: np.ndarray, radius: int = RADIUS, smooth: float = SMOOTH
) -> np.ndarray:
    """Return probabilities float32 H W K that change where the picture does.

    They still add up to 1 at each pixel, but may leave 0..1 a little beside strong edges.

    Args:
        image: uint8 H W C, C 1 or 3.
        probabilities: H W K.
        radius: half a window, in pixels.
        smooth: variance of grey values in 0..1 below which a window counts as even.
    """
    grey = image[..., 0] if image.shape[-1] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    guide = grey.astype(np.float32)[..., None] / 255
    sure = probabilities.astype(np.float32)
    mean, mean_sure = _box(guide, radius), _box(sure, radius)
    variance = _box(guide * guide, radius) - mean * mean
    covariance = _box(guide * sure, radius) - mean * mean_sure
    slope = covariance / (variance + smooth)
    offset = mean_sure - slope * mean
    return _box(slope, radius) * guide + _box(offset, radius)


def _box(maps: np.ndarray, radius: int) -> np.ndarray:
    """Return the mean of each window, H W K; beyond the rim the picture is mirrored."""
    side = 2 * radius + 1
    filtered = cv2.blur(maps, (side, side), borderType=cv2.BORDER_REFLECT)
    return filtered.reshape(maps.shape)
