"""VGG-16 made fully convolutional: dense layers fc6 and fc7 are convolutions.

Simonyan & Zisserman, arXiv 1409.1556, table 1 column D; made convolutional as in Long, Shelhamer &
Darrell, "Fully Convolutional Networks for Semantic Segmentation", arXiv 1411.4038, section 4.1.
Layer names are the paper's code's (shelhamer/fcn.berkeleyvision.org).

Shapes: images B H W C in 0..255, any H and W; pool`n` is B ceil(H/2^n) ceil(W/2^n) K_n.
"""

import keras
from keras import KerasTensor, layers

from fcn.schema.network import Network

BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
"""Convolutions and channels of each block at width 1."""
FC = 4096
"""Channels of fc6 and fc7 at width 1."""


def taps(images: KerasTensor, network: Network) -> dict[str, KerasTensor]:
    """Return the named maps pool1 … pool5 and fc7 over `images`."""
    x = layers.Rescaling(1 / network.scale, -network.mean / network.scale, name="normalise")(images)
    found = {}
    for block, (convolutions, channels) in enumerate(BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            name = f"conv{block}_{number}"
            x = _convolution(x, round(channels * network.width), 3, name)
        x = layers.MaxPooling2D(2, padding="same", name=f"pool{block}")(x)
        found[f"pool{block}"] = x
    fc = round(FC * network.width)
    for name, kernel in (("fc6", network.fc6_kernel), ("fc7", 1)):
        x = _convolution(x, fc, kernel, name)
        x = layers.Dropout(network.dropout, name=f"drop{name[-1]}")(x)
    return found | {"fc7": x}


def _convolution(x: KerasTensor, channels: int, kernel: int, name: str) -> KerasTensor:
    start = keras.initializers.HeNormal()
    return layers.Conv2D(
        channels, kernel, padding="same", activation="relu", kernel_initializer=start, name=name
    )(x)
