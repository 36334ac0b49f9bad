"""What heads are made of: scores, upsampling, fusing, each as the settings want it.

Shapes: scores are B H' W' K in float32; section numbers are Long et al., arXiv 1411.4038.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
from keras import KerasTensor, layers

from fcn.network import alignment
from fcn.network.layers import Bilinear, CropInside, CropLike
from fcn.settings.network import Padding, Start

SCORES = "float32"
"""Scores are summed and compared: in bfloat16 classes would tie."""


class Features(dict[str, KerasTensor]):
    """The named maps of a backbone: a head says which of them it stands on."""

    def __missing__(self, name: str) -> KerasTensor:
        """Refuse a map that this backbone does not have."""
        raise ValueError(f"the head stands on {name}, but the backbone has {', '.join(self)}")


@dataclass(frozen=True)
class Decoder:
    """Makes the layers of one head."""

    classes: int
    padding: Padding = "same"
    upsampling: Start | Mapping[str, Start] | None = None
    """How upsampling starts, for all layers or by name; where not said, as in the head's source."""

    def score(
        self, x: KerasTensor, name: str, start: keras.initializers.Initializer = "zeros"
    ) -> KerasTensor:
        """Score each class at each place: a 1x1 convolution that starts at zero (section 4.2)."""
        return layers.Conv2D(self.classes, 1, kernel_initializer=start, dtype=SCORES, name=name)(x)

    def relu_score(self, x: KerasTensor, name: str) -> KerasTensor:
        """Score as seeds of the paper do that put a ReLU behind; starts at random.

        A ReLU has no gradient at zero: scores that start there would stay.
        """
        start = keras.initializers.GlorotUniform()
        return layers.Conv2D(
            self.classes, 1, activation="relu", kernel_initializer=start, dtype=SCORES, name=name
        )(x)

    def upsample(
        self,
        x: KerasTensor,
        stride: int,
        name: str,
        start: Start = "bilinear",
        kernel: int | None = None,
        valid: bool = False,
        bias: bool = False,
    ) -> KerasTensor:
        """Upsample `stride` times to scores, by a kernel of twice the stride (section 3.3)."""
        kernel = kernel or 2 * stride
        assert (kernel - stride) % 2 == 0, "a kernel that overhangs unevenly is not centred"
        return layers.Conv2DTranspose(
            self.classes,
            kernel,
            strides=stride,
            padding="valid" if valid or self.padding == "pad100" else "same",
            use_bias=bias,
            kernel_initializer=self.start(name, start),
            dtype=SCORES,
            name=name,
        )(x)

    def start(self, name: str, own: Start) -> keras.initializers.Initializer:
        """Return how the upsampling layer `name` starts; `own` is as in the head's source."""
        said = self.upsampling
        wanted = said.get(name, own) if isinstance(said, Mapping) else said or own
        return Bilinear() if wanted == "bilinear" else keras.initializers.GlorotUniform()

    def fuse(self, coarse: KerasTensor, fine: KerasTensor, name: str) -> KerasTensor:
        """Add two score maps where they lie over the same pixels."""
        if (ahead := alignment.ahead(coarse, fine)) > 0:
            fine = _crop(fine, coarse, ahead)
        else:
            coarse = _crop(coarse, fine, -ahead)
        return layers.Add(dtype=SCORES, name=name)([coarse, fine])

    def crop(self, x: KerasTensor, images: KerasTensor) -> KerasTensor:
        """Cut the scores of the image out of what upsampling returned."""
        ahead = alignment.ahead(x, images)
        assert ahead <= 0, "upsampled scores begin inside the image"
        return _crop(x, images, -ahead)


def only_same(padding: Padding, what: str) -> None:
    """Refuse `pad100` where it has no meaning."""
    if padding != "same":
        raise ValueError(f"padding: got {padding}, allowed with {what}: same")


def _crop(x: KerasTensor, like: KerasTensor, offset: int) -> KerasTensor:
    options = {"dtype": SCORES, "name": f"{alignment.name(x)}_crop"}
    layer = CropInside(offset, **options) if offset else CropLike(**options)
    return layer([x, like])
