"""PASCAL VOC 2012 with the masks of SBD: the data behind FCN's published numbers.

SBD (Hariharan et al. 2011) has masks for 11,355 of VOC's images, without an ignored border. Its
train list shares images with VOC's val, so which images may validate depends on the training list.
Lists derived from the publishers' own are computed here; all others are files, as in `voc2012`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.io import loadmat  # type: ignore[import-untyped]

from fcn.datasets.shared import masks, voc
from fcn.datasets.shared.archive import Archive
from fcn.datasets.shared.dataset import Dataset
from fcn.records.sample import Sample

HOME = Path("benchmark_RELEASE/dataset")
SEG11VALID = "seg11valid"
"""VOC 2011's val without SBD's train, 736 images: the list of Long et al. VOC 2011's lists are in
none of these archives, so it is a separate file."""

Lists = Callable[[str], set[str]]
"""The ids of a publisher's list by its name: `train`, `val`, `sbd/train`, `sbd/val`."""
COMPUTED: dict[str, tuple[int, Callable[[Lists], set[str]]]] = {
    "sbd_train": (8_498, lambda of: of("sbd/train")),
    "sbd_val": (2_857, lambda of: of("sbd/val")),
    "train_aug": (10_582, lambda of: _all(of) - of("val")),
    "rv_voc12_train": (11_127, lambda of: _all(of) - (of("val") - of("sbd/train"))),
    "rv_voc12_val": (904, lambda of: of("val") - of("sbd/train")),
}
"""Name: number of images, ids. train_aug: everything but VOC's val. rv_voc12: VOC's val without
SBD's train, and everything else (tf-image-segmentation, after matconvnet-fcn)."""


def _all(of: Lists) -> set[str]:
    return of("train") | of("val") | of("sbd/train") | of("sbd/val")


def samples(raw: Path, split: str, count: int, seed: int) -> Sequence[Sample]:
    """Return the samples of a list: VOC's mask where there is one, else SBD's.

    Lists named after SBD use SBD's masks only.
    """
    sbd_only = split.startswith("sbd_")
    files = []
    for name in ids(raw, split):
        voc_mask = raw / voc.MASKS / f"{name}.png"
        mask = (
            voc_mask if voc_mask.is_file() and not sbd_only else raw / HOME / "cls" / f"{name}.mat"
        )
        files.append(masks.SampleFiles(name, raw / voc.IMAGES / f"{name}.jpg", mask))
    return masks.samples(files, read)


def ids(raw: Path, split: str) -> list[str]:
    """Return the ids of a list: a file's in its order, a computed list's sorted.

    Raises:
        ValueError: there is no such list, or the publishers' lists are incomplete.
    """
    if split not in COMPUTED:
        return voc.listed(raw, split)

    def of(name: str) -> set[str]:
        if name.startswith("sbd/"):
            return set(masks.lines(raw / HOME / f"{name.removeprefix('sbd/')}.txt"))
        return set(voc.listed(raw, name))

    expected, compute = COMPUTED[split]
    listed = sorted(compute(of))
    if len(listed) != expected:
        raise ValueError(
            f"{split}: {len(listed)} images follow from the lists in {raw / voc.LISTS} and "
            f"{raw / HOME}, but {expected} from the published ones; get those again"
        )
    return listed


def read(path: Path) -> masks.Mask:
    """Read VOC's PNG or SBD's MATLAB file (version 5: numbers, no code).

    Raises:
        ValueError: it is damaged or holds no mask of SBD.
    """
    if path.suffix == ".png":
        return masks.index(path)
    try:
        mask = loadmat(path, variable_names=["GTcls"])["GTcls"]["Segmentation"][0, 0]
    except Exception as error:  # a damaged file can make scipy raise anything
        raise ValueError(f"{path}: no mask of SBD ({type(error).__name__}: {error})") from None
    if mask.dtype != np.uint8 or mask.ndim != 2:
        raise ValueError(f"{path}: {mask.dtype} of shape {mask.shape}; allowed: uint8, H W")
    return np.ascontiguousarray(mask), ()


DATASET = Dataset(
    name="voc2012_sbd",
    title="PASCAL VOC 2012 with SBD's masks, 21 classes",
    archives=(
        voc.ARCHIVE,
        Archive(
            url="http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
            filename="benchmark.tgz",
            md5="82b4d87ceb2ed10f6038a1cba92111cb",
            unpacked=tuple(f"{HOME.as_posix()}/{part}" for part in ("cls", "train.txt", "val.txt")),
        ),
        Archive(
            url=(
                "https://raw.githubusercontent.com/shelhamer/fcn.berkeleyvision.org/master/data/"
                "pascal/seg11valid.txt"
            ),
            filename=f"{SEG11VALID}.txt",
        ),
    ),
    classes=voc.CLASSES,
    colours=voc.COLOURS,
    channels=3,
    splits=("train", "val", *COMPUTED, SEG11VALID),
    licence=voc.LICENCE,
    citation=(
        f"{voc.CITATION} B. Hariharan, P. Arbeláez, L. Bourdev, S. Maji, J. Malik. Semantic "
        "Contours from Inverse Detectors. ICCV 2011."
    ),
    samples=samples,
)
