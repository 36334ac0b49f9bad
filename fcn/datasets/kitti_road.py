"""KITTI road: 289 images with masks of the road ahead; 30 of them validate.

Masks are magenta on the road, red off the road, black on other roads and unlabelled pixels. Three
systems read black in three ways; `LABELS` has all three. `um_lane` masks are not read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np

from fcn.common.text import nearest
from fcn.datasets.shared import masks
from fcn.datasets.shared.archive import Archive
from fcn.datasets.shared.dataset import Dataset, Samples
from fcn.records.sample import IGNORE_INDEX, Overlap, Sample

HOME = Path("data_road/training")
IMAGES, MASKS = HOME / "image_2", HOME / "gt_image_2"
RED, MAGENTA, BLACK = (255, 0, 0), (255, 0, 255), (0, 0, 0)
BACKGROUND, ROAD = 0, 1
ONE_IN = 10
"""One image in ten is in val: a run of consecutive numbers in each category, placed by the seed,
since consecutive images often show the same street."""


def samples_of(table: Mapping[masks.Colour, int], other: int = masks.UNKNOWN) -> Samples:
    """Return `samples` for one meaning of the masks' colours."""

    def samples(raw: Path, split: str, count: int, seed: int) -> Sequence[Sample]:
        files = [
            masks.SampleFiles(
                name, raw / IMAGES / f"{name}.png", _mask(raw, name), (_category(name),)
            )
            for name in ids(raw, split, seed)
        ]
        return masks.samples(files, lambda path: masks.colours(path, table, other))

    return samples


def ids(raw: Path, split: str, seed: int) -> list[str]:
    """Return the names of the split's images, `um_000000` and so on.

    Raises:
        ValueError: there is no such split, or an image or its mask is missing.
    """
    if split not in DATASET.splits:
        raise ValueError(f"kitti_road has no list {split!r}; {nearest(split, DATASET.splits)}")
    images = {path.stem: path for path in (raw / IMAGES).glob("*.png")}
    labels = {path.stem.replace("_road_", "_"): path for path in (raw / MASKS).glob("*_road_*.png")}
    if not images:
        raise ValueError(f"{raw / IMAGES} holds no images; expected um_000000.png and so on")
    chosen = []
    for number, (_, run) in enumerate(groupby(masks.matched(images, labels), key=_category)):
        names = list(run)
        count = max(1, round(len(names) / ONE_IN))
        start = np.random.default_rng([seed, number]).integers(len(names) - count + 1)
        val = names[start : start + count]
        chosen += val if split == "val" else [name for name in names if name not in val]
    return chosen


def _category(name: str) -> str:
    return name.partition("_")[0]


def _mask(raw: Path, name: str) -> Path:
    category, _, number = name.partition("_")
    return raw / MASKS / f"{category}_road_{number}.png"


DATASET = Dataset(
    name="kitti_road",
    title="KITTI road, 2 classes, about 1242x375",
    archives=(
        Archive(
            url=None,
            filename="data_road.zip",
            unpacked=(IMAGES.as_posix(), MASKS.as_posix()),
            by_hand=(
                "register at https://www.cvlibs.net/datasets/kitti/eval_road.php and get 'base kit "
                "with left color images, calibration and training labels' (0.5 GB)"
            ),
        ),
    ),
    classes=("background", "road"),
    colours=(RED, MAGENTA),
    channels=3,
    splits=("train", "val"),
    licence="CC BY-NC-SA 3.0",
    citation=(
        "J. Fritsch, T. Kühnl, A. Geiger. A New Performance Measure and Evaluation Benchmark for "
        "Road Detection Algorithms. ITSC 2013."
    ),
    samples=samples_of({RED: BACKGROUND, MAGENTA: ROAD, BLACK: IGNORE_INDEX}),
    overlaps=(
        Overlap(
            "same_group",
            ("train", "val"),
            "the publisher names categories (um, umm, uu), not drives; val has a run of each",
        ),
    ),
)

LABELS = {
    # KittiSeg, M. Teichmann 2016: black is ignored.
    "black_ignored": DATASET,
    # image-segmentation-fcn, L. Janyst 2017: everything but magenta is background.
    "black_background": replace(DATASET, samples=samples_of({MAGENTA: ROAD}, other=BACKGROUND)),
    # CarND-Semantic-Segmentation, Udacity 2017: everything but red is road.
    "black_road": replace(DATASET, samples=samples_of({RED: BACKGROUND}, other=ROAD)),
}
