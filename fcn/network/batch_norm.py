"""Batch normalisation after a convolution: a layer of its own, or folded into the convolution."""

from keras import KerasTensor, layers

from fcn.settings.network import Network

EPSILON = 1e-3
"""Added to the variance, as in EfficientNet."""
SUFFIX = "_bn"
"""The layer has the name of its convolution with this suffix."""


def normalise(x: KerasTensor, convolution: str, network: Network) -> KerasTensor:
    """Normalise the output B H W K of the convolution of this name, if that is not folded."""
    if network.batch_norm == "folded":
        return x
    return layers.BatchNormalization(epsilon=EPSILON, name=f"{convolution}{SUFFIX}")(x)
