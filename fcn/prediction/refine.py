"""Refine predicted masks along the image's edges with a guided filter over the probabilities.

He, Sun & Tang, "Guided Image Filtering" (ECCV 2010), algorithm 1, on OpenCV's box filter: in each
window, a class's probability becomes the linear function of the image's grey value that fits it
best. tf-image-segmentation uses the dense CRF of Krähenbühl & Koltun (2011) here; no package of it
installs without a compiler. OpenCV's own guided filter is in opencv-contrib, which conflicts with
the package that this project uses.
"""

import cv2
import numpy as np

RADIUS = 4
"""Half a window, in pixels: edges are found up to this distance. FCN-8s maps have stride 8."""
SMOOTH = 1e-3
"""Variance of grey values in 0..1 below which a window counts as uniform (the paper's epsilon)."""


def refine(
    image: np.ndarray, probabilities: np.ndarray, radius: int = RADIUS, smooth: float = SMOOTH
) -> np.ndarray:
    """Return probabilities float32 H W K whose edges follow the image's.

    They still sum to 1 at each pixel, but may leave 0..1 slightly beside strong edges.

    Args:
        image: uint8 H W C, C 1 or 3.
        probabilities: H W K.
        radius: half a window, in pixels.
        smooth: variance of grey values in 0..1 below which a window counts as uniform.
    """
    grey = image[..., 0] if image.shape[-1] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    guide = grey.astype(np.float32)[..., None] / 255
    inputs = probabilities.astype(np.float32)
    mean, mean_inputs = _box_mean(guide, radius), _box_mean(inputs, radius)
    variance = _box_mean(guide * guide, radius) - mean * mean
    covariance = _box_mean(guide * inputs, radius) - mean * mean_inputs
    slope = covariance / (variance + smooth)
    offset = mean_inputs - slope * mean
    return _box_mean(slope, radius) * guide + _box_mean(offset, radius)


def _box_mean(maps: np.ndarray, radius: int) -> np.ndarray:
    """Return the mean of each window, H W K; the border is mirrored."""
    side = 2 * radius + 1
    filtered = cv2.blur(maps, (side, side), borderType=cv2.BORDER_REFLECT)
    return filtered.reshape(maps.shape)
