"""Count confusion matrices against scikit-learn, and draw the bootstrap.

Run:
    python -m bench.confusion

As many label maps as CamVid's test split has (233 of 360×480, 11 classes and void), drawn as blobs;
both sides count the same maps in turns, in this process, and must agree. Then the bootstrap of as
many matrices as VOC 2012 val has (1,449 of 21 classes), 2,000 resamples.
"""

import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
from sklearn.metrics import confusion_matrix as theirs

from fcn.cli import command_line
from fcn.records.sample import IGNORE_INDEX
from fcn.scores.metrics import confusion_matrix as ours
from fcn.uncertainty.intervals import resample_mean_iou

IMAGES, HEIGHT, WIDTH, CLASSES = 233, 360, 480, 11
TURNS = 5
VOC, RESAMPLES = (1449, 21, 21), 2000


def maps(rng: np.random.Generator, void: float) -> np.ndarray:
    """Return label maps uint8 N H W; the share `void` of the blobs is ignored."""
    coarse = rng.integers(CLASSES, size=(IMAGES, HEIGHT // 24, WIDTH // 24)).astype(np.uint8)
    coarse[rng.random(coarse.shape) < void] = IGNORE_INDEX
    size = (WIDTH, HEIGHT)
    return np.stack([cv2.resize(one, size, interpolation=cv2.INTER_NEAREST) for one in coarse])


def seconds(run: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Return how long counting took, and the matrices."""
    began = time.perf_counter()
    matrices = run()
    return time.perf_counter() - began, matrices


def spread(took: list[float]) -> str:
    """Return median and extremes."""
    return f"{statistics.median(took):.3f} s ({min(took):.3f} … {max(took):.3f})"


def main() -> None:
    """Print medians of both sides, the bootstrap's, and the ratio."""
    rng = np.random.default_rng(0)
    truth, prediction = maps(rng, 0.05), maps(rng, 0)
    known = truth != IGNORE_INDEX
    pairs = [*zip(truth, prediction, strict=True)]
    # scikit-learn has no ignored pixels: they are cut out for it, outside of its time.
    cut = [(t[k], p[k]) for t, p, k in zip(truth, prediction, known, strict=True)]

    def count() -> np.ndarray:
        return np.stack([ours(t, p, CLASSES) for t, p in pairs])

    def count_theirs() -> np.ndarray:
        return np.stack([theirs(t, p, labels=range(CLASSES)) for t, p in cut])

    turns = [(seconds(count), seconds(count_theirs)) for _ in range(TURNS)]
    assert all((mine[1] == other[1]).all() for mine, other in turns)
    ratios = [other[0] / mine[0] for mine, other in turns]
    for name, side in (("ours", 0), ("scikit-learn", 1)):
        took = spread([turn[side][0] for turn in turns])
        print(f"{name}: {IMAGES} maps of {HEIGHT}×{WIDTH} in {took}")
    matrices = rng.integers(0, 5000, VOC)

    def resample() -> np.ndarray:
        return resample_mean_iou(matrices, RESAMPLES, seed=1)

    images, classes, _ = VOC
    took = spread([seconds(resample)[0] for _ in range(TURNS)])
    print(f"bootstrap: {RESAMPLES} resamples of {images} images × {classes} classes in {took}")
    print(f"scikit-learn / ours, {TURNS} turns: {min(ratios):.1f} … {max(ratios):.1f}")
    print(f"ratio: {statistics.median(ratios):.1f}")


if __name__ == "__main__":
    command_line.run(main)
