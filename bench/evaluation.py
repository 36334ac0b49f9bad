"""Measuring a network against its forward pass alone: the cost of counting.

Run:
    python -m bench.evaluation [--images 16] [--batch 4] [--turns 7] [--backend tensorflow]

FCN-8s on VGG-16 (fc6 and fc7 of 1,024), untrained, on images of CamVid's size with 11 classes and
void. Measuring reads records and counts everything that `fcn.scores.per_image` stores; the forward
pass is `predict_on_batch` on images in memory. Both alternate in this process.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from typer import Option

from fcn.cli import command_line
from fcn.conversion import shards
from fcn.datasets.shared import catalogue
from fcn.network import backend
from fcn.records.sample import IGNORE_INDEX, Sample
from fcn.records.split import Records
from fcn.scores import averaging, counting
from fcn.settings import reader
from fcn.settings.network import Network

HEIGHT, WIDTH, CLASSES, FC = 360, 480, 11, 1024
VGG = Network(width=1.0, fc6_kernel=7, dropout=0.5, mean=114.0, std=1.0)


def pair(rng: np.random.Generator, number: int) -> Sample:
    """Return a picture of blobs, as noisy as a photograph, and its mask."""
    coarse = rng.integers(CLASSES + 1, size=(HEIGHT // 24, WIDTH // 24)).astype(np.uint8)
    coarse[coarse == CLASSES] = IGNORE_INDEX
    mask = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    noise = rng.integers(0, 16, size=(HEIGHT, WIDTH, 3))
    image = (mask[..., None] * 7 % 200 + noise).astype(np.uint8)
    return Sample(f"blobs-{number}", image, mask, (f"blobs-{number}",))


def write(folder: Path, images: int) -> Records:
    """Write the records of a split and open them."""
    names = tuple(f"class {number}" for number in range(CLASSES))
    colours = tuple((number, 0, 0) for number in range(CLASSES))
    digits = catalogue.load("digits")
    dataset = replace(digits, classes=names, colours=colours, channels=3)
    rng = np.random.default_rng(0)
    shards.write(folder, dataset, {"test": [pair(rng, n) for n in range(images)]}, shards=1)
    return Records(folder, "test")


def seconds(run: Callable[[], None]) -> float:
    """Return how long it took."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main(
    images: Annotated[int, Option(help="Number of images.")] = 16,
    batch: Annotated[int, Option(help="Images in a batch.")] = 4,
    turns: Annotated[int, Option(help="Runs of each side.")] = 7,
    name: Annotated[
        Literal["tensorflow", "jax"], Option("--backend", help="Keras' backend.")
    ] = "tensorflow",
) -> None:
    """Print both rates and, last, measuring / forward pass."""
    common = reader.load("digits").common
    backend.use(common.model_copy(update={"backend": name}))
    from fcn.backbones import vgg16
    from fcn.inference import forward as evaluation
    from fcn.network import build

    vgg16.FC = FC
    model = build.network("fcn8s", "vgg16", VGG, 3, CLASSES)
    with tempfile.TemporaryDirectory() as folder:
        split = write(Path(folder), images)
        stacked = np.stack([example.image for example in split])

        def forward() -> None:
            for start in range(0, images, batch):
                model.predict_on_batch(stacked[start : start + batch])

        def measure() -> None:
            said = evaluation.predict_with_confidence(model, split, batch, averaging.THRESHOLD)
            for example, one in said:
                counting.count_image(
                    example.label, one.mask, one.confidence, one.thresholded, CLASSES
                )

        for run in (forward, measure):
            run()
        took = [(seconds(measure), seconds(forward)) for _ in range(turns)]
    ratios = [both / alone for both, alone in took]
    for label, side in (("measuring", 0), ("forward pass", 1)):
        rates = [images / turn[side] for turn in took]
        spread = f"{min(rates):.2f} … {max(rates):.2f}"
        print(f"{label}: {statistics.median(rates):.2f} images/s ({spread})")
    print(f"measuring / forward pass, {turns} turns: {min(ratios):.3f} … {max(ratios):.3f}")
    print(f"ratio: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    command_line.run(main)
