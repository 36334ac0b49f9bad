"""The small encoder of M2NIST: conv 5x5x8, pool, conv 3x3x8, pool, 1x1x32, all without padding.

Farhan Ahmad, "Rediscovering Semantic Segmentation" (2018), farhanhubble/udacity-connect: 64x84
becomes 14x19 (height x width). The classifier ends in a dense layer of 32, which the source
replaces with a new 1x1 convolution, here fc3. So this backbone has no layer `dense32`.

Shapes: images B H W C in 0..255, padded with zeros at the bottom and right to multiples of 4 and
at least 12 (64x84 is not padded); then pool2 is B H/4-2 W/4-2 8.
"""

import keras
from keras import KerasTensor, layers

from fcn.network.decoder import require_same_padding
from fcn.network.layers import PadTo, preprocess, scale_channels
from fcn.settings.network import Network

CHANNELS, DENSE = 8, 32
"""Channels of the convolutions and of the last layer at width 1."""
FLATTENED = "pool2"
"""The map that the classifier flattens for its dense layers."""


def dense(network: Network) -> dict[str, int]:
    """Return the name and width of the classifier's dense layers before its scores."""
    return {"dense32": _last(network)} if network.fc else {}


def features(images: KerasTensor, network: Network) -> dict[str, KerasTensor]:
    """Return the maps by name: pool1, pool2, with `fc` fc3, and `last`."""
    require_same_padding(network.padding, "the backbone mnist_small")
    x = PadTo(4, 12, name="pad")(preprocess(images, network))
    maps = {}
    for block, kernel in enumerate((5, 3), start=1):
        x = _convolution(x, scale_channels(CHANNELS, network.width), kernel, f"conv{block}")
        x = layers.MaxPooling2D(2, name=f"pool{block}")(x)
        maps[f"pool{block}"] = x
    if network.fc:
        x = _convolution(x, _last(network), 1, "fc3")
        x = layers.Dropout(network.dropout, name="drop3")(x)
        maps["fc3"] = x
    return maps | {"last": x}


def _last(network: Network) -> int:
    return scale_channels(DENSE, network.fc_width or network.width)


def _convolution(x: KerasTensor, filters: int, kernel: int, name: str) -> KerasTensor:
    start = keras.initializers.HeNormal()
    return layers.Conv2D(filters, kernel, activation="relu", kernel_initializer=start, name=name)(x)
