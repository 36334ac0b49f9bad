"""Bilinear resizing, also to sizes that are open while TensorFlow traces a network.

Keras 3.15.1 refuses `ops.image.resize` where a size is a tensor, as every size is from the second
size of images on.
"""

from keras import KerasTensor, ops


def resize_bilinear(
    maps: KerasTensor, height: int | KerasTensor, width: int | KerasTensor
) -> KerasTensor:
    """Return maps B H' W' C as B H W C: centres at half pixels, no antialiasing.

    For open sizes the arithmetic of TensorFlow's kernel is written out, in its order, so that both
    ways give the same float32 numbers.
    """
    if isinstance(height, int) and isinstance(width, int):
        return ops.image.resize(maps, (height, width), "bilinear")
    resized = _interpolate(ops.cast(maps, "float32"), width, axis=2)
    return ops.cast(_interpolate(resized, height, axis=1), maps.dtype)


def _interpolate(maps: KerasTensor, size: int | KerasTensor, axis: int) -> KerasTensor:
    """Return maps with `size` positions along the axis, each between two neighbours."""
    old_size = ops.shape(maps)[axis]
    scale = ops.cast(old_size, "float32") / ops.cast(size, "float32")
    positions = (ops.cast(ops.arange(size), "float32") + 0.5) * scale - 0.5
    lower = ops.floor(positions)
    index = ops.cast(lower, "int32")
    before = ops.take(maps, ops.maximum(index, 0), axis=axis)
    after = ops.take(maps, ops.minimum(index + 1, old_size - 1), axis=axis)
    return before + (after - before) * ops.reshape(positions - lower, (-1, *[1] * (3 - axis)))
