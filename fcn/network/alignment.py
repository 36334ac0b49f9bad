"""Where a map lies over the image, derived layer by layer.

Position p of a map lies over pixel `offset + stride * p`. Each layer changes the two in its own
way, so the crops between maps need not be typed in: this is what `coord_map.py` of
shelhamer/fcn.berkeleyvision.org does for Caffe's layers.
"""

from typing import NamedTuple

from keras import KerasTensor, layers

from fcn.network.layers import CropLike


class Place(NamedTuple):
    """Position p of a map lies over pixel `offset + stride * p`."""

    stride: float
    offset: float


def place(x: KerasTensor) -> Place:
    """Return where `x` lies over the image that its backbone sees.

    Layers that are not named here leave a map where it is; of several inputs the first counts.
    """
    layer, node, _ = x._keras_history
    inputs = layer._inbound_nodes[node].input_tensors
    if not inputs:
        return Place(1, 0)
    stride, offset = place(inputs[0])
    match layer:
        # A Conv2DTranspose is a Conv2D to Keras, so it comes first.
        case layers.Conv2DTranspose():
            kernel, factor = layer.kernel_size[0], layer.strides[0]
            before = (kernel - factor) // 2 if layer.padding == "same" else 0
            stride /= factor
            return Place(stride, offset - stride * ((kernel - 1) / 2 - before))
        case layers.Conv2D():
            kernel = layer.kernel_size[0]
            before = (kernel - 1) // 2 if layer.padding == "same" else 0
            return Place(stride * layer.strides[0], offset + stride * ((kernel - 1) / 2 - before))
        case layers.MaxPooling2D():
            # "same" adds at the bottom and right only.
            size = layer.pool_size[0]
            return Place(stride * layer.strides[0], offset + stride * (size - 1) / 2)
        case layers.ZeroPadding2D():
            return Place(stride, offset - stride * layer.padding[0][0])
        case CropLike():
            return Place(stride, offset + stride * layer.offset)
    return Place(stride, offset)


def ahead(coarse: KerasTensor, fine: KerasTensor) -> int:
    """Return how many positions of `fine` lie before the first of `coarse`; negative: of `coarse`.

    Raises:
        ValueError: no crop lays one over the other.
    """
    over, under = place(coarse), place(fine)
    steps = (over.offset - under.offset) / under.stride
    if over.stride != under.stride or steps % 1:
        raise ValueError(
            f"{name(coarse)} lies over the image at stride {over.stride:g} from {over.offset:g}, "
            f"{name(fine)} at stride {under.stride:g} from {under.offset:g}: no crop lays one over "
            "the other; this head is made for another backbone"
        )
    return int(steps)


def name(x: KerasTensor) -> str:
    """Return the name of the layer that makes `x`."""
    return x._keras_history.operation.name
