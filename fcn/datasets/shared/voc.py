"""PASCAL VOC 2012: what its two data sets share, with VOC's masks alone and with SBD's."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from fcn.datasets.shared import masks
from fcn.datasets.shared.archive import Archive
from fcn.records.sample import Sample

HOME = Path("VOCdevkit/VOC2012")
LISTS, IMAGES, MASKS = (
    HOME / part for part in ("ImageSets/Segmentation", "JPEGImages", "SegmentationClass")
)

ARCHIVE = Archive(
    url="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
    filename="VOCtrainval_11-May-2012.tar",
    bytes=1_999_639_040,
    sha256="e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
    md5="6cd6e144f989b92b3379bac3b3de84fd",
    unpacked=(LISTS.as_posix(), IMAGES.as_posix(), MASKS.as_posix()),
)
CLASSES = (
    "background",
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person"),
    *("pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
LICENCE = "images: Flickr's terms of use; annotations: none stated"
CITATION = (
    "M. Everingham, S. M. A. Eslami, L. Van Gool, C. K. I. Williams, J. Winn, A. Zisserman. The "
    "PASCAL Visual Object Classes Challenge: A Retrospective. IJCV 111, 2015."
)


def colour(number: int) -> tuple[int, int, int]:
    """Return the official palette's colour of a class: its bits, distributed over R, G and B."""
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
    return channels[0], channels[1], channels[2]


COLOURS = tuple(colour(number) for number in range(len(CLASSES)))


def listed(raw: Path, name: str) -> list[str]:
    """Return the ids of a list: ImageSets/Segmentation/<name>.txt, or <name>.txt beside the tar.

    Raises:
        ValueError: there is no such list; the message names the existing ones.
    """
    published, own = raw / LISTS / f"{name}.txt", raw / f"{name}.txt"
    existing = {path.stem for folder in (raw / LISTS, raw) for path in folder.glob("*.txt")}
    path = own if own.is_file() else published
    return masks.lines(path, f"; there are: {', '.join(sorted(existing)) or 'none'}")


def samples(raw: Path, ids: Iterable[str]) -> Sequence[Sample]:
    """Return images with VOC's own masks."""
    files = (
        masks.SampleFiles(name, raw / IMAGES / f"{name}.jpg", raw / MASKS / f"{name}.png")
        for name in ids
    )
    return masks.samples(files, masks.index)
