"""The project's own layers; registered, so that a saved model opens once this file is imported."""

from fractions import Fraction
from typing import Any

import keras
from keras import KerasTensor, layers, ops

from fcn.network.resizing import resize_bilinear
from fcn.settings.network import Network


class MatchSize(layers.Layer):
    """Base of layers that give their first map B H' W' K the H and W of their second, B H W C."""

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return B H W K."""
        x, like = shapes
        return (x[0], like[1], like[2], x[3])


@keras.saving.register_keras_serializable(package="fcn")
class CropLike(MatchSize):
    """Crop the first map to the height and width of the second, from the top left.

    Pooling with "same" padding rounds sizes up and pads at the bottom and right, so an upsampled
    map is at least as large as the finer map, and aligned with its top left.
    """

    offset = 0
    """How many rows are cut off at the top, and columns at the left."""

    def call(self, maps: tuple[KerasTensor, KerasTensor]) -> KerasTensor:
        """Return the first map B H' W' K cropped to the H W of the second, B H W C."""
        coarse, like = maps
        batch, _, _, channels = ops.shape(coarse)
        _, height, width, _ = ops.shape(like)
        # The gradient of `slice` uses all threads on TensorFlow; that of `coarse[…]` one.
        return ops.slice(coarse, (0, self.offset, self.offset, 0), (batch, height, width, channels))


@keras.saving.register_keras_serializable(package="fcn")
class CropInside(CropLike):
    """Crop the first map to the height and width of the second, from `offset` rows and columns."""

    def __init__(self, offset: int, **options: Any) -> None:
        super().__init__(**options)
        self.offset = offset

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"offset": self.offset}


@keras.saving.register_keras_serializable(package="fcn")
class ResizeLike(MatchSize):
    """Resize the first map to the height and width of the second, bilinearly."""

    def call(self, maps: tuple[KerasTensor, KerasTensor]) -> KerasTensor:
        """Return the first map B H' W' K at the H W of the second, B H W C."""
        x, like = maps
        _, height, width, _ = ops.shape(like)
        return resize_bilinear(x, height, width)


@keras.saving.register_keras_serializable(package="fcn")
class AreaResize(layers.Layer):
    """Reduce or enlarge images by a factor: each new pixel is the mean over the area it covers.

    Below 1 the area covers several old pixels. Above 1 it covers parts of one to four; at 2 each
    old pixel becomes four equal ones.
    """

    def __init__(self, factor: float, **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor

    def call(self, images: KerasTensor) -> KerasTensor:
        """Return images B H W C as B ⌈fH⌉ ⌈fW⌉ C."""
        _, height, width, _ = ops.shape(images)
        rows, columns = self._areas(height), self._areas(width)
        images = ops.einsum("ih,bhwc->biwc", rows, images)
        return ops.einsum("jw,biwc->bijc", columns, images)

    def _areas(self, size: int) -> KerasTensor:
        """Return which share of each new pixel each old one covers, along one axis: new, old."""
        new_size = self._resized(size)
        old = ops.cast(ops.arange(size), self.compute_dtype)
        new = ops.cast(ops.arange(new_size), self.compute_dtype)[:, None]
        side = ops.cast(size, self.compute_dtype) / ops.cast(new_size, self.compute_dtype)
        ends = ops.minimum((new + 1) * side, old + 1) - ops.maximum(new * side, old)
        return ops.maximum(ends, 0) / side

    def _resized(self, size: int) -> int:
        """Return ⌈factor * size⌉; a number where the size is known, else a tensor."""
        factor = Fraction(self.factor).limit_denominator(1000)
        # Not -(-a // b): ONNX rounds negative quotients towards zero.
        return (size * factor.numerator + factor.denominator - 1) // factor.denominator

    def compute_output_shape(self, images_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return B ⌈fH⌉ ⌈fW⌉ C."""
        batch, *sides, channels = images_shape
        return (batch, *(side and self._resized(side) for side in sides), channels)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"factor": self.factor}


@keras.saving.register_keras_serializable(package="fcn")
class PadTo(layers.Layer):
    """Pad with zeros at the bottom and right to a multiple, and to a minimum, of pixels."""

    def __init__(self, multiple: int, minimum: int, **options: Any) -> None:
        super().__init__(**options)
        self.multiple, self.minimum = multiple, minimum

    def call(self, x: KerasTensor) -> KerasTensor:
        """Return B H W C padded."""
        _, height, width, _ = ops.shape(x)
        return ops.pad(x, [[0, 0], [0, self._missing(height)], [0, self._missing(width)], [0, 0]])

    def _missing(self, size: int) -> int:
        """Return how many pixels are missing; a number where the size is known, else a tensor."""
        least = (
            max(self.minimum, size) if isinstance(size, int) else ops.maximum(self.minimum, size)
        )
        return -(-least // self.multiple) * self.multiple - size

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape with padded sides."""
        batch, *sides, channels = shape
        return (batch, *(side and side + self._missing(side) for side in sides), channels)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"multiple": self.multiple, "minimum": self.minimum}


@keras.saving.register_keras_serializable(package="fcn")
class ReverseChannels(layers.Layer):
    """Turn RGB into BGR, the order of OpenCV and therefore of Caffe's weights."""

    def call(self, images: KerasTensor) -> KerasTensor:
        """Return images B H W C with their channels in reverse order."""
        return ops.flip(images, axis=-1)


def scale_channels(published: int, width: float) -> int:
    """Return the number of channels at this width, at least one; `published` is that of width 1."""
    return max(1, round(published * width))


def preprocess(images: KerasTensor, network: Network) -> KerasTensor:
    """Return images B H W C in the weights' channel order, minus the mean, divided by `std`.

    Raises:
        ValueError: the settings have three means, but images do not have three channels.
    """
    if network.channel_order == "bgr":
        images = ReverseChannels(name="bgr")(images)
    offset: float | list[float]
    if isinstance(network.mean, tuple):
        if images.shape[-1] != len(network.mean):
            raise ValueError(f"mean: got 3 numbers, but images have {images.shape[-1]} channels")
        offset = [-mean / network.std for mean in network.mean]
    else:
        offset = -network.mean / network.std
    return layers.Rescaling(1 / network.std, offset, name="normalise")(images)
