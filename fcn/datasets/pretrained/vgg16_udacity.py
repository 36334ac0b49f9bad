"""Udacity's convolutional VGG-16, which the KITTI road systems start from.

`file: {format: savedmodel, path: vgg}`.
"""

from fcn.datasets.shared.archive import Archive
from fcn.datasets.shared.dataset import Pretrained
from fcn.datasets.shared.vgg import CITATION, LICENCE

PRETRAINED = Pretrained(
    title="VGG-16 as Udacity's CarND-Semantic-Segmentation publishes it",
    archives=(
        Archive(
            url="https://s3-us-west-1.amazonaws.com/udacity-selfdrivingcar/vgg.zip",
            filename="vgg.zip",
            unpacked=("vgg",),
        ),
    ),
    licence=LICENCE,
    citation=CITATION,
)
