"""TF-Slim's VGG-16, which tf-image-segmentation starts from.

`file: {format: slim, path: vgg_16.ckpt}`.
"""

from fcn.datasets.shared.archive import Archive
from fcn.datasets.shared.dataset import Pretrained
from fcn.datasets.shared.vgg import CITATION, LICENCE

PRETRAINED = Pretrained(
    title="VGG-16 as TF-Slim publishes it",
    archives=(
        Archive(
            url="http://download.tensorflow.org/models/vgg_16_2016_08_28.tar.gz",
            filename="vgg_16_2016_08_28.tar.gz",
            unpacked=("vgg_16.ckpt",),
        ),
    ),
    licence=LICENCE,
    citation=CITATION,
)
