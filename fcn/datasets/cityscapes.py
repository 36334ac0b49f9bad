"""Cityscapes, fine annotations: 2,975 images to train, 500 to validate, 2048x1024, 50 cities.

Two label conventions: the 19 classes that the benchmark trains and scores, and the 29 colours of
L. Janyst's image-segmentation-fcn (2017), where `unlabeled` is a class like any other. Masks of the
test cities are not published.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fcn.common.text import nearest
from fcn.datasets.shared import masks
from fcn.datasets.shared.archive import Archive
from fcn.datasets.shared.dataset import Dataset, Samples
from fcn.records.sample import IGNORE_INDEX, Sample

IMAGE_END = "_leftImg8bit.png"
IDS = 34
"""Ids in the publisher's labelIds masks, 0..33."""
TABLE: tuple[tuple[str, int | None, masks.Colour], ...] = (
    ("unlabeled", None, (0, 0, 0)),
    ("dynamic", None, (111, 74, 0)),
    ("ground", None, (81, 0, 81)),
    ("road", 7, (128, 64, 128)),
    ("sidewalk", 8, (244, 35, 232)),
    ("parking", None, (250, 170, 160)),
    ("rail track", None, (230, 150, 140)),
    ("building", 11, (70, 70, 70)),
    ("wall", 12, (102, 102, 156)),
    ("fence", 13, (190, 153, 153)),
    ("guard rail", None, (180, 165, 180)),
    ("bridge", None, (150, 100, 100)),
    ("tunnel", None, (150, 120, 90)),
    ("pole", 17, (153, 153, 153)),
    ("traffic light", 19, (250, 170, 30)),
    ("traffic sign", 20, (220, 220, 0)),
    ("vegetation", 21, (107, 142, 35)),
    ("terrain", 22, (152, 251, 152)),
    ("sky", 23, (70, 130, 180)),
    ("person", 24, (220, 20, 60)),
    ("rider", 25, (255, 0, 0)),
    ("car", 26, (0, 0, 142)),
    ("truck", 27, (0, 0, 70)),
    ("bus", 28, (0, 60, 100)),
    ("caravan", None, (0, 0, 90)),
    ("trailer", None, (0, 0, 110)),
    ("train", 31, (0, 80, 100)),
    ("motorcycle", 32, (0, 0, 230)),
    ("bicycle", 33, (119, 11, 32)),
)
"""Name, id in labelIds (None: not trained), colour (cityscapesScripts, labels.py)."""
TRAINED = tuple((name, label, colour) for name, label, colour in TABLE if label is not None)


def samples_of(mask_end: str, read: Callable[[Path], masks.Mask]) -> Samples:
    """Return `samples` for masks whose names end with `mask_end`."""

    def samples(raw: Path, split: str, count: int, seed: int) -> Sequence[Sample]:
        if split not in DATASET.splits:
            raise ValueError(f"cityscapes has no list {split!r}; {nearest(split, DATASET.splits)}")
        images = _files(raw / "leftImg8bit" / split, IMAGE_END)
        labels = _files(raw / "gtFine" / split, mask_end)
        # The folder is the city: aachen/aachen_000000_000019_leftImg8bit.png.
        files = (
            masks.SampleFiles(name, images[name], labels[name], (images[name].parent.name,))
            for name in masks.matched(images, labels)
        )
        return masks.samples(files, read)

    return samples


def _files(folder: Path, end: str) -> dict[str, Path]:
    paths = {path.name.removesuffix(end): path for path in folder.glob(f"*/*{end}")}
    if not paths:
        raise ValueError(f"{folder} holds no CITY/*{end}; see docs/datasets.md")
    return paths


def read_label_ids(path: Path) -> masks.Mask:
    """Read a labelIds mask as the 19 classes; values beyond the 34 ids stay, for validation."""
    mask, notes = masks.index(path)
    classes = np.arange(IGNORE_INDEX + 1, dtype=np.uint8)
    classes[:IDS] = IGNORE_INDEX
    classes[[label for _, label, _ in TRAINED]] = np.arange(len(TRAINED))
    return classes[mask], notes


def read_colours(path: Path) -> masks.Mask:
    """Read a colour mask as the 29 classes."""
    return masks.colours(path, {colour: index for index, (_, _, colour) in enumerate(TABLE)})


def _archive(filename: str, folder: str, size: str) -> Archive:
    return Archive(
        url=None,
        filename=filename,
        unpacked=tuple(f"{folder}/{split}" for split in ("train", "val")),
        by_hand=f"register at https://www.cityscapes-dataset.com/downloads/ and get it ({size})",
    )


DATASET = Dataset(
    name="cityscapes",
    title="Cityscapes, 19 classes, 2048x1024",
    archives=(
        _archive("leftImg8bit_trainvaltest.zip", "leftImg8bit", "11 GB"),
        _archive("gtFine_trainvaltest.zip", "gtFine", "241 MB"),
    ),
    classes=tuple(name for name, _, _ in TRAINED),
    colours=tuple(colour for _, _, colour in TRAINED),
    channels=3,
    splits=("train", "val"),
    licence="the publisher's own: non-commercial use, no redistribution",
    citation=(
        "M. Cordts, M. Omran, S. Ramos, T. Rehfeld, M. Enzweiler, R. Benenson, U. Franke, S. Roth, "
        "B. Schiele. The Cityscapes Dataset for Semantic Urban Scene Understanding. CVPR 2016."
    ),
    samples=samples_of("_gtFine_labelIds.png", read_label_ids),
)

LABELS = {
    "classes19": DATASET,
    "colours29": replace(
        DATASET,
        title="Cityscapes, 29 colours, 2048x1024",
        classes=tuple(name for name, _, _ in TABLE),
        colours=tuple(colour for _, _, colour in TABLE),
        samples=samples_of("_gtFine_color.png", read_colours),
    ),
}
