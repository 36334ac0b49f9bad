"""Test-time augmentation: average the predictions for rescaled and mirrored versions of an image.

As in mmsegmentation, each version's softmax is resized to the image's size and averaged. The
default is the image itself alone, at its original size, as in the paper.
"""

from collections.abc import Sequence

import keras
from keras import KerasTensor, ops

from fcn.network.resizing import resize_bilinear

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="fcn")
class Scaled(keras.layers.Layer):
    """Images B H W C, resized by a factor (bilinear) to at least 1 x 1."""

    def __init__(self, factor: float, **kwargs: object) -> None:
        """Take the factor on both sides."""
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, images: KerasTensor) -> KerasTensor:
        """Return B h w C."""
        _, height, width, _ = ops.shape(images)
        images = ops.cast(images, "float32")
        return resize_bilinear(images, self._side(height), self._side(width))

    def _side(self, length: int | KerasTensor) -> int | KerasTensor:
        if isinstance(length, int):
            return max(1, round(length * self.factor))
        side = ops.round(ops.cast(length, "float32") * self.factor)
        return ops.maximum(1, ops.cast(side, "int32"))

    def compute_output_shape(self, shape: Shape) -> Shape:
        """Return B h w C, sides that are not known yet left open."""
        batch, *sides, channels = shape
        return (
            batch,
            *(None if s is None else max(1, round(s * self.factor)) for s in sides),
            channels,
        )


@keras.saving.register_keras_serializable(package="fcn")
class Mean(keras.layers.Layer):
    """The mean of maps B h w K of several sizes, each resized (bilinear) to the images' H W."""

    def call(self, images_and_maps: Sequence[KerasTensor]) -> KerasTensor:
        """Return B H W K."""
        images, *maps = images_and_maps
        _, height, width, _ = ops.shape(images)
        return sum(resize_bilinear(one, height, width) for one in maps) / len(maps)

    def compute_output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return B H W K."""
        return (*shapes[0][:3], shapes[1][-1])


def with_augmentation(
    model: keras.Model, scales: Sequence[float] = (1.0,), flip: bool = False
) -> keras.Model:
    """Return a model of the same inputs and classes that applies test-time augmentation.

    Its output is the logarithm of the mean softmax, float32 B H W K: its softmax is that mean.

    Args:
        model: images B H W C in 0..255 -> logits B H W K.
        scales: factors by which the image is resized.
        flip: whether the horizontally mirrored image is predicted too, at each scale.
    """
    if tuple(scales) == (1.0,) and not flip:
        return model
    images = keras.Input(model.inputs[0].shape[1:], name="images")
    maps = []
    for scale in scales:
        resized = Scaled(scale)(images)
        maps.append(ops.softmax(model(resized)))
        if flip:
            maps.append(ops.flip(ops.softmax(model(ops.flip(resized, axis=2))), axis=2))
    mean = Mean()([images, *maps])
    # Keeps the logarithm of a probability of 0 finite.
    return keras.Model(images, ops.log(ops.maximum(mean, 1e-30)), name=model.name)
