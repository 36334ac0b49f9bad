"""M2NIST: handwritten digits of MNIST on canvases of 84x64 (width x height).

Farhan Ahmad, "Rediscovering Semantic Segmentation" (2018), composed again from MNIST's four files
by `fcn.datasets.shared.canvases`. Digits for train and val come from the 60,000 training digits,
those for test from the 10,000 test digits.
"""

import gzip
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fcn.datasets.shared import canvases
from fcn.datasets.shared.archive import Archive
from fcn.datasets.shared.dataset import Dataset
from fcn.records.sample import ObjectCrop, Sample

INK = 0
"""Grey above which a pixel belongs to a digit: any, as in the post's generator."""
SHARES = {"train": 0.9, "val": 0.1}
"""Of the 60,000; a digit is used in one split only."""
TRAIN = 60_000
"""Training digits; the test digits are numbered after them."""
MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist"
IDX_IMAGES, IDX_LABELS = 0x803, 0x801
"""Magic numbers of IDX files: bytes in three dimensions, and in one."""


def samples(raw: Path, split: str, count: int, seed: int) -> Sequence[Sample]:
    """Return `count` canvases of `split`; `group` holds the numbers of their source digits."""
    seeds = canvases.split_seeds(DATASET.splits, split, seed)
    return canvases.samples(_pool(raw, split, seed), INK, split, count, seeds)


def object_crops(raw: Path, split: str, seed: int) -> Iterator[ObjectCrop]:
    """Yield the single digits of the pool of `split`, 28x28, with their class."""
    return canvases.object_crops(_pool(raw, split, seed))


def _pool(raw: Path, split: str, seed: int) -> canvases.DigitImages:
    if split == "test":
        return _digits(raw, "t10k", TRAIN)
    return canvases.split_pools(_digits(raw, "train", 0), SHARES, seed)[split]


def _digits(raw: Path, part: str, start: int) -> canvases.DigitImages:
    """Read the images and labels of `train` or `t10k`; digits are numbered from `start`."""
    images = _idx(raw / f"{part}-images-idx3-ubyte.gz", IDX_IMAGES)
    values = _idx(raw / f"{part}-labels-idx1-ubyte.gz", IDX_LABELS)
    if len(images) != len(values):
        raise ValueError(f"{raw}: {len(images)} {part} images, but {len(values)} labels")
    return canvases.DigitImages(images, values, start + np.arange(len(values)))


def _idx(path: Path, magic: int) -> np.ndarray:
    """Read an IDX file of bytes: magic number, sizes, content.

    Raises:
        ValueError: it is missing, damaged, or another kind of file.
    """
    try:
        content = gzip.decompress(path.read_bytes())
        first, *shape = struct.unpack_from(f">{1 + magic % 256}I", content)
        if first != magic:
            raise ValueError(f"it begins with {first:#x}, not {magic:#x}")
        body = np.frombuffer(content, np.uint8, offset=4 * (1 + len(shape)))
        return body.reshape(shape)
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; run `dvc repro download`") from None
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise ValueError(f"{path} is no IDX file of MNIST: {error}") from None


def _archive(filename: str, size: int, sha256: str, md5: str) -> Archive:
    return Archive(
        url=f"{MIRROR}/{filename}", filename=filename, bytes=size, sha256=sha256, md5=md5
    )


DATASET = Dataset(
    name="m2nist",
    title="M2NIST: one to three digits of MNIST on 64x84 canvases",
    archives=(
        _archive(
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        ),
        _archive(
            "train-labels-idx1-ubyte.gz",
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "d53e105ee54ea40749a09fcbcd1e9432",
        ),
        _archive(
            "t10k-images-idx3-ubyte.gz",
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "9fb629c4189551a2d022fa330f9573f3",
        ),
        _archive(
            "t10k-labels-idx1-ubyte.gz",
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    classes=canvases.CLASSES,
    colours=canvases.COLOURS,
    channels=1,
    splits=(*SHARES, "test"),
    licence="CC BY-SA 3.0 (MNIST)",
    citation=(
        "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner. Gradient-Based Learning Applied to Document "
        "Recognition. Proceedings of the IEEE 86(11), 1998."
    ),
    samples=samples,
    object_crops=object_crops,
)
