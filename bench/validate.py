"""Validate records, and compare the vectorised checks with a loop over pixels.

Run:
    python -m bench.validate [data/records/camvid]

Without a folder, records of 701 random pictures of CamVid's size (480x360 pixels, 11 classes) are
made first. The loop is that of Lukasz Janyst's label checker ("Image Segmentation with
Fully Convolutional Networks", 2017: github.com/ljanyst/image-segmentation-fcn, test_source.py): for
each pixel, that its one-hot row holds a single 1 and nothing else. It runs on a few pixels of the
same masks; its time is given per pixel.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
from typer import Argument

from fcn.cli import command_line
from fcn.conversion import shards
from fcn.datasets.shared.dataset import Dataset
from fcn.labels import check
from fcn.labels.rules import no_class, no_row
from fcn.records import onehot
from fcn.records.index import read_index
from fcn.records.sample import LazySamples, Sample
from fcn.records.split import Records

PIXELS = 40_000
"""Pixels that the loop checks."""
MASKS = 8
CLASSES = 11
HEIGHT, WIDTH, PICTURES = 360, 480, 701


def loop(rows: np.ndarray) -> int:
    """Return how many rows of one-hot pixels N K are wrong, pixel by pixel."""
    wrong = 0
    for k in range(rows.shape[0]):
        nonzeros = np.count_nonzero(rows[k, :])
        has_one = 1 in rows[k, :]
        if nonzeros != 1 or not has_one:
            wrong += 1
    return wrong


def canvas(number: int) -> Sample:
    """Return noise, and a mask of blocks."""
    random = np.random.default_rng(number)
    image = random.integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    mask = random.integers(0, CLASSES, (HEIGHT // 40, WIDTH // 40), np.uint8)
    enlarged = image.repeat(8, axis=0).repeat(8, axis=1)
    mask = mask.repeat(40, axis=0).repeat(40, axis=1)
    return Sample(f"{number}", enlarged, mask, (f"{number}",))


def canvases(folder: Path) -> None:
    """Write records of random pictures."""
    dataset = Dataset(
        name="canvases",
        title="",
        archives=(),
        classes=tuple(f"class {k}" for k in range(CLASSES)),
        colours=tuple((k, k, k) for k in range(CLASSES)),
        channels=3,
        splits=("train", "val"),
        licence="",
        citation="",
        samples=lambda raw, split, count, seed: [],
    )
    numbers = range(PICTURES)
    splits = {
        "train": LazySamples(numbers[:-100], canvas),
        "val": LazySamples(numbers[-100:], canvas),
    }
    shards.write(folder, dataset, splits, shards=2)


def per_pixel(
    function: Callable[[np.ndarray], object], arrays: list[np.ndarray], pixels: int
) -> float:
    """Return seconds per pixel, the best of five times."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for array in arrays:
            function(array)
        best = min(best, time.perf_counter() - began)
    return best / pixels


def main(
    folder: Annotated[
        Path | None, Argument(help="Folder of records. Default: random ones.", show_default=False)
    ] = None,
) -> None:
    """Print how long validation takes, and the ratios."""
    if folder is not None:
        measure(folder)
        return
    with tempfile.TemporaryDirectory() as scratch:
        canvases(Path(scratch))
        measure(Path(scratch))


def measure(folder: Path) -> None:
    """Print how long the validation of records takes, and how much longer the loop takes."""
    index = read_index(folder)
    expected = Counter(row.split for row in index)
    began = time.monotonic()
    checked = check.check(folder, expected, severity={}, near=4, worker_count=0)
    seconds = time.monotonic() - began
    print(f"{len(index)} examples, all rules and hashes: {seconds:.1f} s, {checked.verdict}")
    classes = len(checked.labels.classes)
    source = Records(folder, next(iter(expected)))
    masks = [source[number].label for number in range(min(MASKS, len(source)))]
    rows = [onehot.rows(mask, classes) for mask in masks]
    pixels = sum(mask.size for mask in masks)
    sample = np.concatenate([mask_rows.reshape(-1, classes) for mask_rows in rows])
    sample = sample[np.linspace(0, len(sample) - 1, min(PIXELS, len(sample)), dtype=int)]
    loop_seconds = per_pixel(loop, [sample], len(sample))
    onehot_seconds = per_pixel(no_row, rows, pixels)
    index_seconds = per_pixel(lambda mask: no_class(mask, classes), masks, pixels)
    for name, each in (
        ("loop", loop_seconds),
        ("one-hot check", onehot_seconds),
        ("index check", index_seconds),
    ):
        print(f"{name}: {each * 1e9:.2f} ns per pixel")
    print(
        f"ratio: one-hot {loop_seconds / onehot_seconds:.0f} times, "
        f"index {loop_seconds / index_seconds:.0f} times as fast as the loop"
    )


if __name__ == "__main__":
    command_line.run(main)
