"""keras.applications' VGG-16 up to pool5. `file: {format: keras, path: …}`, `network.fc: false`."""

from fcn.datasets.shared.archive import Archive
from fcn.datasets.shared.dataset import Pretrained
from fcn.datasets.shared.vgg import CITATION, LICENCE

PRETRAINED = Pretrained(
    title="VGG-16 as Keras publishes it, without fc6 and fc7",
    archives=(
        Archive(
            url=(
                "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
                "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
            ),
            filename="vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            bytes=58_889_256,
            md5="6d6bbae143d832006294945121d1f1fc",
        ),
    ),
    licence=LICENCE,
    citation=CITATION,
)
