"""What both sides of bench.predict share: the picture, the weights, the way in and the way out."""

import io
import resource
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from bench.alternate import Work
from fcn.datasets.shared import voc

CLASSES, FC = 21, 1024
PALETTE = [part for number in range(CLASSES) for part in voc.colour(number)]
SAMPLES = 1000
"""Logits of each side that are compared, drawn from all."""
Network = Callable[[np.ndarray], np.ndarray]
"""Images uint8 B H W 3 -> logits B H W K."""


def picture(height: int, width: int) -> np.ndarray:
    """Return a picture uint8 H W 3, as smooth and as noisy as a photograph."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(256, size=(height // 24, width // 24, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def kernel(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the weights h w C D of a convolution by its name: the same on all sides."""
    rng = np.random.default_rng(list(name.encode()))
    return (rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:3]))).astype(np.float32)


def work(network: Network, shape: list[int], whole: bool, compared: bool) -> Work:
    """Return one answer for a batch, warmed up; `compared`: say what the logits are."""
    batch, height, width, _ = shape
    image = picture(height, width)
    _, jpeg = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    images = np.stack([image] * batch)

    def alone() -> None:
        network(images)

    def from_jpeg_to_png() -> None:
        decoded = [cv2.imdecode(jpeg, cv2.IMREAD_COLOR_RGB) for _ in range(batch)]
        for mask in network(np.stack(decoded)).argmax(axis=-1).astype(np.uint8):
            answer = Image.fromarray(mask)
            answer.putpalette(PALETTE)
            answer.save(io.BytesIO(), "PNG", compress_level=1)

    run = from_jpeg_to_png if whole else alone
    for _ in range(2):
        run()
    said = network(images[:1]).ravel() if compared else np.empty(0)
    facts = {
        "logits": np.random.default_rng(2).choice(said, SAMPLES).tolist() if compared else [],
        "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    return Work(run, batch, facts)
