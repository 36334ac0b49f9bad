"""PASCAL VOC 2012 segmentation: 1,464 images to train, 1,449 to validate, 20 kinds of objects.

Masks are palette PNGs of class indices, with 255 in the border around objects. Any list in
ImageSets/Segmentation is a split; your own lists may also be beside the publisher's tar.
"""

from collections.abc import Sequence
from pathlib import Path

from fcn.datasets.shared import voc
from fcn.datasets.shared.dataset import Dataset
from fcn.records.sample import Sample


def samples(raw: Path, split: str, count: int, seed: int) -> Sequence[Sample]:
    """Return the samples of the list <split>.txt."""
    return voc.samples(raw, voc.listed(raw, split))


DATASET = Dataset(
    name="voc2012",
    title="PASCAL VOC 2012, 21 classes",
    archives=(voc.ARCHIVE,),
    classes=voc.CLASSES,
    colours=voc.COLOURS,
    channels=3,
    splits=("train", "val"),
    licence=voc.LICENCE,
    citation=voc.CITATION,
    samples=samples,
)
