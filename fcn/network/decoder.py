"""The parts of heads: scores, upsampling and fusing, each as the settings describe it.

Shapes: scores are B H' W' K in float32. Section numbers are of Long et al., arXiv 1411.4038.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
from keras import KerasTensor, layers

from fcn.network import alignment
from fcn.network.layers import CropInside, CropLike
from fcn.network.upsampling import Bilinear, Upsample
from fcn.settings.network import Padding, Start

SCORES = "float32"
"""The precision of scores, which are summed and compared: in bfloat16 classes would tie."""


class Features(dict[str, KerasTensor]):
    """The named maps of a backbone."""

    def __missing__(self, name: str) -> KerasTensor:
        """Refuse a map that this backbone does not have."""
        raise ValueError(f"the head reads the map {name}, but the backbone has {', '.join(self)}")


@dataclass(frozen=True)
class Decoder:
    """Makes the layers of one head."""

    classes: int
    padding: Padding = "same"
    upsampling: Start | Mapping[str, Start] | None = None
    """Initial kernels of all upsampling layers or, by name, of some; default: as in the source."""

    def score(
        self, x: KerasTensor, name: str, initializer: keras.initializers.Initializer = "zeros"
    ) -> KerasTensor:
        """Score each class at each position: a 1x1 convolution, zero at first (section 4.2)."""
        return layers.Conv2D(
            self.classes, 1, kernel_initializer=initializer, dtype=SCORES, name=name
        )(x)

    def relu_score(self, x: KerasTensor, name: str) -> KerasTensor:
        """Score with a ReLU, random at first.

        A ReLU has no gradient at zero: scores that start there would never change.
        """
        random = keras.initializers.GlorotUniform()
        return layers.Conv2D(
            self.classes, 1, activation="relu", kernel_initializer=random, dtype=SCORES, name=name
        )(x)

    def upsample(
        self,
        x: KerasTensor,
        stride: int,
        name: str,
        default: Start = "bilinear",
        kernel: int | None = None,
    ) -> KerasTensor:
        """Upsample `stride` times to scores; the kernel is twice the stride (section 3.3).

        `default` is the initial kernel in the head's source.
        """
        kernel = kernel or 2 * stride
        assert (kernel - stride) % 2 == 0, "a kernel that overhangs unevenly is not centred"
        layer = Upsample if kernel == 2 * stride else layers.Conv2DTranspose
        return layer(
            self.classes,
            kernel,
            strides=stride,
            padding="valid" if self.padding == "pad100" else "same",
            use_bias=False,
            kernel_initializer=self.initializer(name, default),
            dtype=SCORES,
            name=name,
        )(x)

    def initializer(self, name: str, default: Start) -> keras.initializers.Initializer:
        """Return the initializer of the upsampling layer `name`; `default` is the source's."""
        if isinstance(self.upsampling, Mapping):
            start = self.upsampling.get(name, default)
        else:
            start = self.upsampling or default
        return Bilinear() if start == "bilinear" else keras.initializers.GlorotUniform()

    def fuse(self, coarse: KerasTensor, fine: KerasTensor, name: str) -> KerasTensor:
        """Add two score maps where they cover the same pixels."""
        positions = alignment.positions_between(coarse, fine)
        if positions > 0:
            fine = _crop(fine, coarse, positions)
        else:
            coarse = _crop(coarse, fine, -positions)
        return layers.Add(dtype=SCORES, name=name)([coarse, fine])

    def crop(self, x: KerasTensor, images: KerasTensor) -> KerasTensor:
        """Crop upsampled scores to the image."""
        positions = alignment.positions_between(x, images)
        assert positions <= 0, "upsampled scores begin inside the image"
        return _crop(x, images, -positions)


def require_same_padding(padding: Padding, user: str) -> None:
    """Refuse `pad100` where it has no meaning; `user` names the head or backbone.

    Raises:
        ValueError: the padding is not `same`.
    """
    if padding != "same":
        raise ValueError(f"padding: got {padding}, allowed with {user}: same")


def _crop(x: KerasTensor, like: KerasTensor, offset: int) -> KerasTensor:
    options = {"dtype": SCORES, "name": f"{alignment.layer_name(x)}_crop"}
    layer = CropInside(offset, **options) if offset else CropLike(**options)
    return layer([x, like])
