"""The contracting path of U-Net as in Apiquet/Segmentation (models/UNET.py).

After Ronneberger, Fischer & Brox, arXiv 1505.04597, with "same" convolutions and dropout: 64, 128,
256, 512 channels, and 1024 at the bottom. It has no dense layers; all are random at first.

Shapes: images B H W C in 0..255, any H and W; block`n` is B ceil(H/2^(n-1)) ceil(W/2^(n-1)) K_n,
`last` is B ceil(H/16) ceil(W/16) 1024 at width 1.
"""

import keras
from keras import KerasTensor, layers

from fcn.network.decoder import require_same_padding
from fcn.network.layers import preprocess, scale_channels
from fcn.settings.network import Network

CHANNELS = (64, 128, 256, 512, 1024)
"""Channels of each block at width 1; the last is the bottom."""
FLATTENED = "last"
"""The map that a classifier flattens for its scores."""


def dense(network: Network) -> dict[str, int]:
    """Return the classifier's dense layers before its scores: none."""
    return {}


def features(images: KerasTensor, network: Network) -> dict[str, KerasTensor]:
    """Return the maps by name: block1 … block4 before their pooling, pool1 … pool4, and `last`."""
    require_same_padding(network.padding, "the backbone unet")
    x = preprocess(images, network)
    maps = {}
    for block, published in enumerate(CHANNELS, start=1):
        for number in (1, 2):
            x = layers.Conv2D(
                scale_channels(published, network.width),
                3,
                padding="same",
                activation="relu",
                kernel_initializer=keras.initializers.HeNormal(),
                name=f"conv{block}_{number}",
            )(x)
        if block == len(CHANNELS):
            break
        maps[f"block{block}"] = x
        x = layers.MaxPooling2D(2, padding="same", name=f"pool{block}")(x)
        maps[f"pool{block}"] = x
        x = layers.Dropout(network.dropout, name=f"drop{block}")(x)
    return maps | {"last": x}
