"""How a map is aligned with the image, derived layer by layer.

The centre of position p of a map is pixel `offset + stride * p`. Each layer changes the two in its
own way, so the crops between maps follow from the layers. `coord_map.py` of
shelhamer/fcn.berkeleyvision.org does the same for Caffe's layers.
"""

from typing import NamedTuple

from keras import KerasTensor, layers

from fcn.network.layers import CropLike


class Alignment(NamedTuple):
    """The centre of position p of a map is pixel `offset + stride * p`, in both directions."""

    stride: float
    offset: float


def alignment_of(x: KerasTensor) -> Alignment:
    """Return how `x` is aligned with the image that its backbone gets.

    Layers that are not listed here keep the alignment; of several inputs the first counts.
    """
    layer, node, _ = x._keras_history
    inputs = layer._inbound_nodes[node].input_tensors
    if not inputs:
        return Alignment(1, 0)
    stride, offset = alignment_of(inputs[0])
    match layer:
        # A Conv2DTranspose is a Conv2D to Keras, so it comes first.
        case layers.Conv2DTranspose():
            kernel, factor = layer.kernel_size[0], layer.strides[0]
            before = (kernel - factor) // 2 if layer.padding == "same" else 0
            stride /= factor
            return Alignment(stride, offset - stride * ((kernel - 1) / 2 - before))
        case layers.Conv2D() | layers.DepthwiseConv2D():
            kernel, step = layer.kernel_size[0], layer.strides[0]
            # Of a size that is a multiple of the stride; backbones with such layers pad to one.
            before = max(kernel - step, 0) // 2 if layer.padding == "same" else 0
            centre = (kernel - 1) / 2 - before
            return Alignment(stride * step, offset + stride * centre)
        case layers.MaxPooling2D():
            # "same" pads at the bottom and right only.
            size = layer.pool_size[0]
            return Alignment(stride * layer.strides[0], offset + stride * (size - 1) / 2)
        case layers.ZeroPadding2D():
            return Alignment(stride, offset - stride * layer.padding[0][0])
        case CropLike():
            return Alignment(stride, offset + stride * layer.offset)
    return Alignment(stride, offset)


def positions_between(coarse: KerasTensor, fine: KerasTensor) -> int:
    """Return how many positions the first one of `coarse` lies behind the first one of `fine`.

    It is negative where `coarse` begins before `fine`.

    Raises:
        ValueError: the strides differ, or the distance is no whole number: no crop aligns the maps.
    """
    first, second = alignment_of(coarse), alignment_of(fine)
    positions = (first.offset - second.offset) / second.stride
    if first.stride != second.stride or positions % 1:
        raise ValueError(
            f"{layer_name(coarse)} has stride {first.stride:g} and offset {first.offset:g} over "
            f"the image, {layer_name(fine)} stride {second.stride:g} and offset "
            f"{second.offset:g}: no crop aligns them; this head is made for another backbone"
        )
    return int(positions)


def layer_name(x: KerasTensor) -> str:
    """Return the name of the layer that makes `x`."""
    return x._keras_history.operation.name
