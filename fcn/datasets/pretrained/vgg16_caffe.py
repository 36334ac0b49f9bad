"""VGG-16 as its authors published it, from which FCN's authors start.

`file: {format: caffe, path: VGG_ILSVRC_16_layers.caffemodel}`.
"""

from fcn.datasets.shared.archive import Archive
from fcn.datasets.shared.dataset import Pretrained
from fcn.datasets.shared.vgg import CITATION, LICENCE

PRETRAINED = Pretrained(
    title="VGG-16 as its authors publish it, for Caffe",
    archives=(
        Archive(
            url=(
                "https://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/"
                "VGG_ILSVRC_16_layers.caffemodel"
            ),
            filename="VGG_ILSVRC_16_layers.caffemodel",
            bytes=553_432_081,
            md5="441315b0ff6932dbfde97731be7ca852",
        ),
    ),
    licence=LICENCE,
    citation=CITATION,
)
