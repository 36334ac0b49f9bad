"""torchvision's VGG-16, trained by its authors. `file: {format: torchvision, path: …}`."""

from fcn.datasets.shared.archive import Archive
from fcn.datasets.shared.dataset import Pretrained
from fcn.datasets.shared.vgg import CITATION

PRETRAINED = Pretrained(
    title="VGG-16 as torchvision publishes it (IMAGENET1K_V1)",
    archives=(
        Archive(
            url="https://download.pytorch.org/models/vgg16-397923af.pth",
            filename="vgg16-397923af.pth",
            bytes=553_433_881,
            sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        ),
    ),
    licence="BSD 3-Clause (torchvision)",
    citation=CITATION,
)
