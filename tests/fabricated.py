"""Tiny raw files in the exact layout of each publisher, for tests: noise with valid masks.

`CASES[name]` writes them and gives the number of samples in each list. A new file in fcn/datasets/
needs a case here; the contract tests ask for it.
"""

import gzip
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from fcn.datasets import camvid, cityscapes, kitti_road, m2nist, voc2012_sbd
from fcn.datasets.shared import catalogue, voc
from fcn.datasets.shared.dataset import Dataset
from fcn.download import fetch
from fcn.settings.data import Convert

HEIGHT, WIDTH = 6, 9


@dataclass(frozen=True)
class Case:
    """One data set: who writes its files, and how many samples each list then has."""

    write: Callable[[Path], None]
    splits: dict[str, int]
    settings: dict[str, Any] = field(default_factory=dict)

    def convert(self, labels: str | None = None) -> Convert:
        """Settings that read these files, by one of the label conventions."""
        return Convert(splits=self.splits, shards=1, labels=labels, **self.settings)


def dataset(name: str, labels: str | None = None) -> Dataset:
    """The data set as its case describes it."""
    return catalogue.load(name, CASES[name].convert(labels))


def noise(number: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """An RGB image of its own for each number."""
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


def save(path: Path, pixels: np.ndarray, palette: bool = False, **options: Any) -> Path:
    """Write pixels as a picture, with the official palette of VOC where asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    if palette:
        picture.putpalette([part for number in range(256) for part in voc.colour(number)])
    picture.save(path, **options)
    return path


def jpeg(number: int) -> bytes:
    """The bytes of a JPEG."""
    buffer = BytesIO()
    Image.fromarray(noise(number)).save(buffer, "JPEG")
    return buffer.getvalue()


def indices(number: int, values: int | list[int]) -> np.ndarray:
    """A mask H W of some of the values."""
    chosen = np.arange(values) if isinstance(values, int) else np.array(values)
    return np.random.default_rng(number).choice(chosen, (HEIGHT, WIDTH)).astype(np.uint8)


def grey_png(values: np.ndarray, bits: int) -> bytes:
    """A grey PNG of 1, 2 or 4 bits per pixel, which Pillow writes for 1 bit only."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width = values.shape
    spread = np.unpackbits(values[..., None], axis=-1)[..., 8 - bits :].reshape(height, -1)
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in spread)
    head = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def write_digits(folder: Path) -> None:
    for archive in catalogue.load("digits").archives:
        fetch.fetch(archive, folder)


def write_m2nist(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for start, (part, count) in enumerate((("train", 60), ("t10k", 20))):
        images = np.random.default_rng(start).integers(1, 256, (count, 28, 28), np.uint8)
        values = (np.arange(count) % 10).astype(np.uint8)
        for name, magic, array in (
            ("images-idx3", m2nist.IDX_IMAGES, images),
            ("labels-idx1", m2nist.IDX_LABELS, values),
        ):
            head = struct.pack(f">{1 + array.ndim}I", magic, *array.shape)
            path = folder / f"{part}-{name}-ubyte.gz"
            path.write_bytes(gzip.compress(head + array.tobytes()))


def write_camvid(folder: Path) -> None:
    home = folder / camvid.HOME
    frames = {
        "train": ["0001TP_006690", "0006R0_f00930", "0016E5_00390", "0016E5_00420"],
        "val": ["0016E5_07959", "0016E5_07961"],
        "test": ["0001TP_008550", "Seq05VD_f00000", "Seq05VD_f00030"],
    }
    for split, names in frames.items():
        for number, name in enumerate(names, start=10 * len(names)):
            save(home / split / f"{name}.png", noise(number))
            save(home / f"{split}annot" / f"{name}.png", indices(number, camvid.VOID + 1))
        lines = (
            f"{camvid.PUBLISHED}{split}/{name}.png {camvid.PUBLISHED}{split}annot/{name}.png\n"
            for name in names
        )
        (home / f"{split}.txt").write_text("".join(lines))


def write_voc(folder: Path) -> None:
    lists = {"train": ["2007_000032", "2007_000039", "2008_000008"], "val": ["2007_000033"]}
    for number, name in enumerate(lists["train"] + lists["val"]):
        path = folder / voc.IMAGES / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number))
        mask = indices(number, [*range(len(voc.CLASSES)), 255])
        save(folder / voc.MASKS / f"{name}.png", mask, palette=True)
    for name, ids in {**lists, "mine": lists["train"][:2]}.items():
        path = folder / voc.LISTS / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{one}\n" for one in ids))


def write_voc_sbd(folder: Path) -> None:
    """As many images as the publishers have, all of them links to a few."""
    names = [f"2007_{number:06d}" for number in range(12_031)]
    val, others = names[:1449], names[1449:]
    both = val[:545]  # 904 of VOC's val are not in SBD's train.
    lists = {
        folder / voc.LISTS / "train.txt": others[:1464],
        folder / voc.LISTS / "val.txt": val,
        folder / voc2012_sbd.HOME / "train.txt": both + others[: 8498 - 545],
        folder / voc2012_sbd.HOME / "val.txt": others[8498 - 545 :] + val[545 : 545 + 228],
        folder / f"{voc2012_sbd.SEG11VALID}.txt": val[-736:],
    }
    for path, ids in lists.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{one}\n" for one in ids))
    image, mask, mat = (folder / name for name in ("one.jpg", "one.png", "one.mat"))
    image.write_bytes(jpeg(1))
    save(mask, indices(1, [0, 3, 255]), palette=True)
    inner = np.empty((1, 1), [("Boundaries", "O"), ("Segmentation", "O")])
    inner[0, 0] = (np.zeros((20, 1)), indices(2, 21))
    savemat(mat, {"GTcls": inner}, do_compression=True)
    for target, ids in (
        (folder / voc.IMAGES, names),
        (folder / voc.MASKS, val + others[:1464]),
        (folder / voc2012_sbd.HOME / "cls", names),
    ):
        source = {"JPEGImages": image, "SegmentationClass": mask}.get(target.name, mat)
        target.mkdir(parents=True, exist_ok=True)
        for name in ids:
            os.link(source, target / f"{name}{source.suffix}")


def write_kitti(folder: Path) -> None:
    colours = np.array([kitti_road.RED, kitti_road.MAGENTA, kitti_road.BLACK], np.uint8)
    for category in ("um", "umm", "uu"):
        for number in range(11):
            save(folder / kitti_road.IMAGES / f"{category}_{number:06d}.png", noise(number))
            mask = folder / kitti_road.MASKS / f"{category}_road_{number:06d}.png"
            save(mask, colours[indices(number, 3)])
    lane = folder / kitti_road.MASKS / "um_lane_000000.png"  # never read
    save(lane, np.full((HEIGHT, WIDTH, 3), 7, np.uint8))


def write_cityscapes(folder: Path) -> None:
    colours = np.array([colour for _, _, colour in cityscapes.TABLE], np.uint8)
    opaque = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    cities = {"train": ["aachen", "bochum"], "val": ["frankfurt"], "test": ["berlin"]}
    for split, names in cities.items():
        for number in range(2 * len(names)):
            city = names[number // 2]
            frame = f"{city}/{city}_{number:06d}_000019"
            save(folder / "leftImg8bit" / split / f"{frame}_leftImg8bit.png", noise(number))
            labels = folder / "gtFine" / split / f"{frame}_gtFine"
            save(Path(f"{labels}_labelIds.png"), indices(number, cityscapes.IDS))
            coloured = colours[indices(number, len(colours))]
            save(Path(f"{labels}_color.png"), np.concatenate([coloured, opaque], axis=-1))
            save(Path(f"{labels}_instanceIds.png"), indices(number, 3))  # never read


FOLDER: dict[str, Any] = {
    "title": "Leaves",
    "classes": {"ground": (0, 0, 0), "leaf": (0, 200, 0), "stem": (120, 80, 0)},
    "masks": "index",
    "ignore": 255,
    "licence": "CC0",
    "citation": "A. Gardener, 2024",
}


def write_folder(folder: Path) -> None:
    for number, name in enumerate(("a", "b", "rows/0001", "rows/0002", "d")):
        image = folder / "images" / f"{name}.jpg"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(jpeg(number))
        save(folder / "masks" / f"{name}.png", indices(number, [0, 1, 2, 255]))
    (folder / "splits").mkdir()
    (folder / "splits/train.txt").write_text("a.jpg\nrows/0001\nrows/0002\n")
    (folder / "splits/val.txt").write_text("b\nd\n")


CASES = {
    "camvid": Case(write_camvid, {"train": 4, "val": 2, "test": 3}),
    "cityscapes": Case(write_cityscapes, {"train": 4, "val": 2}),
    "digits": Case(write_digits, {"train": 9, "val": 9, "test": 9}),
    "folder": Case(write_folder, {"train": 3, "val": 2}, {"folder": FOLDER}),
    "kitti_road": Case(write_kitti, {"train": 30, "val": 3}),
    "m2nist": Case(write_m2nist, {"train": 9, "val": 9, "test": 9}),
    "voc2012": Case(write_voc, {"train": 3, "val": 1}),
    "voc2012_sbd": Case(write_voc_sbd, {"train": 1464, "val": 1449}),
}
