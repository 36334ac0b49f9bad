"""Your own images and masks: `images/`, `masks/`, and optionally `splits/`.

    images/a.jpg   images/seq1/0001.png     JPEG or PNG
    masks/a.png    masks/seq1/0001.png      the same names; indices, a palette or colours
    splits/train.txt                        one name per line, the ending is optional

Without lists each group (a video, a place) goes to one split by a hash of its name: adding images
moves no image to another split.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from fcn.datasets.shared import masks
from fcn.datasets.shared.dataset import Dataset
from fcn.records.sample import IGNORE_INDEX, Sample
from fcn.settings.data import Folder

IMAGE_ENDS, MASK_ENDS = (".jpg", ".jpeg", ".png"), (".png",)
STEPS = 2**64
"""Values of the hash of a group's name, which the shares divide."""


def dataset_of(folder: Folder) -> Dataset:
    """Return the data set of these settings."""
    return replace(
        DATASET,
        title=folder.title,
        classes=tuple(folder.classes),
        colours=tuple(folder.classes.values()),
        channels=folder.channels,
        splits=tuple(folder.shares),
        licence=folder.licence,
        citation=folder.citation,
        samples=partial(_samples, folder),
    )


def _samples(folder: Folder, raw: Path, split: str, count: int, seed: int) -> Sequence[Sample]:
    images = _files(raw / "images", IMAGE_ENDS)
    labels = _files(raw / "masks", MASK_ENDS)
    groups = {name: _group(folder, name) for name in masks.matched(images, labels)}
    if (raw / "splits").is_dir():
        if folder.shares:
            raise ValueError(f"{raw / 'splits'} holds lists, so `folder.shares:` must not be given")
        names = _listed(raw / "splits" / f"{split}.txt", images)
    elif split in folder.shares:
        names = [name for name, group in groups.items() if _split_of(folder, group, seed) == split]
        if not names:
            raise ValueError(
                f"{split}: none of the {len(set(groups.values()))} groups in {raw} are in it; "
                f"write lists, {raw / 'splits'}/{split}.txt, or give it a larger share"
            )
    else:
        allowed = ", ".join(folder.shares) or f"none; write lists, {raw / 'splits'}/{split}.txt"
        raise ValueError(f"`folder.shares:` names no {split!r}; it has: {allowed}")
    files = (masks.SampleFiles(name, images[name], labels[name], (groups[name],)) for name in names)
    return masks.samples(files, partial(_read, folder))


def _read(folder: Folder, path: Path) -> masks.Mask:
    if folder.masks == "index":
        assert not isinstance(folder.ignore, tuple), "settings: masks of indices ignore an index"
        return masks.index(path, folder.ignore)
    table = {colour: number for number, colour in enumerate(folder.classes.values())}
    if isinstance(folder.ignore, tuple):
        table[folder.ignore] = IGNORE_INDEX
    return masks.colours(path, table)


def _files(folder: Path, ends: tuple[str, ...]) -> dict[str, Path]:
    """Return all files under a folder by their path without the ending."""
    paths: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_dir() or any(part.startswith(".") for part in inside.parts):
            continue
        if path.suffix.lower() not in ends:
            raise ValueError(f"{path}: allowed in {folder.name}/: {', '.join(ends)}")
        name = _normal(inside.with_suffix("").as_posix())
        if name in paths:
            raise ValueError(f"{paths[name]} and {path} have the same name; keep one")
        paths[name] = path
    if not paths:
        raise ValueError(f"{folder} holds no pictures; see docs/datasets.md")
    return paths


def _listed(path: Path, images: dict[str, Path]) -> list[str]:
    """Return the names in a list, with or without the images' endings."""
    names = []
    for line in masks.lines(path):
        name = _normal(line)
        if name not in images and name.lower().endswith(IMAGE_ENDS):
            name = name.rpartition(".")[0]
        if name not in images:
            raise ValueError(f"{path} names {line!r}, but there is no such image")
        names.append(name)
    return names


def _normal(name: str) -> str:
    """Normalise Unicode: some systems write é as two characters."""
    return unicodedata.normalize("NFC", name)


def _group(folder: Folder, name: str) -> str:
    if folder.group is None:
        return name.rpartition("/")[0] or name
    match = re.search(folder.group, name)
    if match is None:
        raise ValueError(f"`folder.group:` {folder.group!r} does not match the name {name!r}")
    return match.group(1)


def _split_of(folder: Folder, group: str, seed: int) -> str:
    """Return the split that the hash of a group's name falls into."""
    digest = hashlib.sha256(f"{seed}/{group}".encode()).digest()
    position, bound = int.from_bytes(digest[:8]) / STEPS, 0.0
    for split, share in folder.shares.items():
        bound += share
        if position < bound:
            return split
    return list(folder.shares)[-1]  # rounding left the sum below 1


DATASET = Dataset(
    name="folder",
    title="Your own images and masks",
    archives=(),
    classes=("background", "object"),
    colours=((0, 0, 0), (255, 255, 255)),
    channels=3,
    splits=(),
    licence="as the settings say",
    citation="as the settings say",
    samples=lambda raw, split, count, seed: (),
    grows=True,
)
