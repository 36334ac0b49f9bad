"""Hold the ceiling's three methods against the paper's figures on PASCAL VOC 2011 val.

Run:
    python -m bench.ceiling VOCdevkit/VOC2012

The list of images, `seg11valid.txt` (736 images), is the authors'
(shelhamer/fcn.berkeleyvision.org, data/pascal). Only masks are read.
"""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from typer import Argument

from fcn.cli import command_line
from fcn.labels.ceiling import METHODS, measure_mask
from fcn.runtime import workers
from fcn.scores import metrics

CLASSES = 21
PUBLISHED = {128: 50.9, 64: 73.3, 32: 86.1, 16: 92.8, 8: 96.4, 4: 98.5}
"""Mean IU by stride: Long et al., appendix A (arXiv 1411.4038v2)."""


def measure(path: Path) -> np.ndarray:
    """Return the confusion matrices of one mask: methods, strides, K, K."""
    label = np.array(Image.open(path))
    return np.array(
        [
            [measure_mask(label, stride, CLASSES, method) for stride in PUBLISHED]
            for method in METHODS
        ]
    )


def main(
    folder: Annotated[
        Path,
        Argument(
            help="Holds SegmentationClass/*.png and ImageSets/Segmentation/seg11valid.txt.",
        ),
    ],
) -> None:
    """Print a line per method, and which is nearest."""
    names = (folder / "ImageSets/Segmentation/seg11valid.txt").read_text("utf-8").split()
    masks = [folder / "SegmentationClass" / f"{name}.png" for name in names]
    began = time.monotonic()
    total = np.sum(list(workers.each(measure, masks, 0)), axis=0)
    print(f"{len(masks)} masks, {time.monotonic() - began:.1f} s")
    print(_line("stride", [f"{stride}" for stride in PUBLISHED]), "mean difference")
    print(_line("published", [f"{value:.1f}" for value in PUBLISHED.values()]))
    away = {}
    for method, matrices in zip(METHODS, total, strict=True):
        values = [100 * metrics.mean_iou(n) for n in matrices]
        away[method] = float(np.mean(np.abs(np.subtract(values, list(PUBLISHED.values())))))
        print(_line(method, [f"{value:.1f}" for value in values]), f"{away[method]:.2f}")
    print(f"nearest to the published figures: {min(away, key=away.__getitem__)}")


def _line(name: str, cells: list[str]) -> str:
    return f"{name:10}" + "".join(f"{cell:>7}" for cell in cells)


if __name__ == "__main__":
    command_line.run(main)
