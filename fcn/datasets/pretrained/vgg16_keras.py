"""keras.applications' VGG-16 with its dense layers. `file: {format: keras, path: …}`."""

from fcn.datasets.shared.archive import Archive
from fcn.datasets.shared.dataset import Pretrained
from fcn.datasets.shared.vgg import CITATION, LICENCE

PRETRAINED = Pretrained(
    title="VGG-16 as Keras publishes it, with fc6 and fc7",
    archives=(
        Archive(
            url=(
                "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
                "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
            ),
            filename="vgg16_weights_tf_dim_ordering_tf_kernels.h5",
            bytes=553_467_096,
            md5="64373286793e3c8b2b4e3219cbf3544b",
        ),
    ),
    licence=LICENCE,
    citation=CITATION,
)
