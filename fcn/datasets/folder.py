"""A person's own images and masks: `images/`, `masks/`, and optionally `splits/`.

    images/a.jpg   images/seq1/0001.png     JPEG or PNG
    masks/a.png    masks/seq1/0001.png      the same names; indices, a palette or colours
    splits/train.txt                        one name per line, the ending may be left out

Without lists each group (a video, a place) goes to one split by a hash of its name: more pictures
move none that are there.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from fcn.datasets.shared import masks
from fcn.datasets.shared.dataset import IGNORE_INDEX, Dataset, Pair
from fcn.settings.data import Folder

IMAGE_ENDS, MASK_ENDS = (".jpg", ".jpeg", ".png"), (".png",)
STEPS = 2**64
"""Into how many parts the hash of a group's name divides what the shares are of."""


def described(folder: Folder) -> Dataset:
    """Return the data set that the settings describe."""
    return replace(
        DATASET,
        title=folder.title,
        classes=tuple(folder.classes),
        colours=tuple(folder.classes.values()),
        channels=folder.channels,
        splits=tuple(folder.shares),
        licence=folder.licence,
        citation=folder.citation,
        pairs=partial(_pairs, folder),
    )


def _pairs(folder: Folder, raw: Path, split: str, count: int, seed: int) -> Sequence[Pair]:
    images = _files(raw / "images", IMAGE_ENDS)
    labels = _files(raw / "masks", MASK_ENDS)
    groups = {name: _group(folder, name) for name in masks.matched(images, labels)}
    if (raw / "splits").is_dir():
        if folder.shares:
            raise ValueError(f"{raw / 'splits'} holds lists, so `folder.shares:` must not be given")
        names = _listed(raw / "splits" / f"{split}.txt", images)
    elif split in folder.shares:
        names = [name for name, group in groups.items() if _drawn(folder, group, seed) == split]
        if not names:
            raise ValueError(
                f"{split}: none of the {len(set(groups.values()))} groups in {raw} fell to it; "
                f"write lists, {raw / 'splits'}/{split}.txt, or give it a larger share"
            )
    else:
        allowed = ", ".join(folder.shares) or f"none; write lists, {raw / 'splits'}/{split}.txt"
        raise ValueError(f"`folder.shares:` names no {split!r}; it has: {allowed}")
    sources = (masks.Source(name, images[name], labels[name], (groups[name],)) for name in names)
    return masks.pairs(sources, partial(_read, folder))


def _read(folder: Folder, path: Path) -> masks.Mask:
    if folder.masks == "index":
        assert not isinstance(folder.ignore, tuple), "settings: an index is told as an index"
        return masks.index(path, folder.ignore)
    table = {colour: number for number, colour in enumerate(folder.classes.values())}
    if isinstance(folder.ignore, tuple):
        table[folder.ignore] = IGNORE_INDEX
    return masks.colours(path, table)


def _files(folder: Path, ends: tuple[str, ...]) -> dict[str, Path]:
    """Return all files under a folder by their name without the ending."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_dir() or any(part.startswith(".") for part in inside.parts):
            continue
        if path.suffix.lower() not in ends:
            raise ValueError(f"{path}: allowed in {folder.name}/: {', '.join(ends)}")
        name = _normal(inside.with_suffix("").as_posix())
        if name in found:
            raise ValueError(f"{found[name]} and {path} have the same name; keep one")
        found[name] = path
    if not found:
        raise ValueError(f"{folder} holds no pictures; see docs/datasets.md")
    return found


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
    """Return one spelling for é, which some systems write as two characters."""
    return unicodedata.normalize("NFC", name)


def _group(folder: Folder, name: str) -> str:
    if folder.group is None:
        return name.rpartition("/")[0] or name
    found = re.search(folder.group, name)
    if found is None:
        raise ValueError(f"`folder.group:` {folder.group!r} finds nothing in the name {name!r}")
    return found.group(1)


def _drawn(folder: Folder, group: str, seed: int) -> str:
    """Return the split that the hash of a group's name falls into."""
    digest = hashlib.sha256(f"{seed}/{group}".encode()).digest()
    place, bound = int.from_bytes(digest[:8]) / STEPS, 0.0
    for split, share in folder.shares.items():
        bound += share
        if place < bound:
            return split
    return list(folder.shares)[-1]  # rounding left a sliver below 1


DATASET = Dataset(
    name="folder",
    title="Images and masks of one's own",
    archives=(),
    classes=("background", "object"),
    colours=((0, 0, 0), (255, 255, 255)),
    channels=3,
    splits=(),
    licence="as the settings say",
    citation="as the settings say",
    pairs=lambda raw, split, count, seed: (),
    grows=True,
)
