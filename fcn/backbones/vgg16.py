"""VGG-16 made fully convolutional: dense layers fc6 and fc7 are convolutions.

Simonyan & Zisserman, arXiv 1409.1556, table 1 column D; made convolutional as in Long, Shelhamer &
Darrell, "Fully Convolutional Networks for Semantic Segmentation", arXiv 1411.4038, section 4.1.
Layer names are the paper's code's (shelhamer/fcn.berkeleyvision.org).

Shapes: images B H W C in 0..255, any H and W; pool`n` is B ceil(H/2^n) ceil(W/2^n) K_n, and with
`padding: pad100` B ceil((H+198)/2^n) ceil((W+198)/2^n) K_n.
"""

import keras
from keras import KerasTensor, layers

from fcn.network.layers import preprocess, scale_channels
from fcn.settings.network import Network

BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
"""Convolutions and channels of each block at width 1."""
FC = 4096
"""Channels of fc6 and fc7 at width 1."""
FLATTENED = "pool5"
"""The map that the classifier flattens for its dense layers."""


def dense(network: Network) -> dict[str, int]:
    """Return the name and width of the classifier's dense layers before its scores."""
    width = scale_channels(FC, network.fc_width or network.width)
    return {"fc6": width, "fc7": width} if network.fc else {}


def features(images: KerasTensor, network: Network) -> dict[str, KerasTensor]:
    """Return the maps by name.

    They are block1 … block5 before their pooling, pool1 … pool5, with `fc` fc6 and fc7, and `last`.
    """
    x = preprocess(images, network)
    padded = network.padding == "pad100"
    if padded:
        x = layers.ZeroPadding2D(100, name="pad100")(x)
    maps = {}
    for block, (convolutions, published) in enumerate(BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            name = f"conv{block}_{number}"
            valid = padded and name == "conv1_1"
            x = _convolution(x, scale_channels(published, network.width), 3, name, valid)
        maps[f"block{block}"] = x
        x = layers.MaxPooling2D(2, padding="same", name=f"pool{block}")(x)
        maps[f"pool{block}"] = x
    for name, width in dense(network).items():
        x = _convolution(x, width, network.fc6_kernel if name == "fc6" else 1, name, padded)
        x = layers.Dropout(network.dropout, name=f"drop{name[-1]}")(x)
        maps[name] = x
    return maps | {"last": x}


def _convolution(x: KerasTensor, filters: int, kernel: int, name: str, valid: bool) -> KerasTensor:
    start = keras.initializers.HeNormal()
    return layers.Conv2D(
        filters,
        kernel,
        padding="valid" if valid else "same",
        activation="relu",
        kernel_initializer=start,
        name=name,
    )(x)
