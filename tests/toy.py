"""A network that need not be trained to have something to say."""

import keras
import numpy as np

from fcn.network import build
from fcn.settings.network import Network


def network(shape: Network, channels: int, classes: int, head: str = "fcn8s") -> keras.Model:
    """Return a network whose scores are not zero and differ from pixel to pixel."""
    model = build.network(head, "vgg16", shape, channels, classes)
    rng = np.random.default_rng(5)
    for layer in model.layers:
        if layer.name.startswith("score"):
            kernel, bias = layer.get_weights()
            layer.set_weights([rng.normal(size=kernel.shape), rng.normal(size=bias.shape)])
    return model
