"""The later M2NIST decoder: four transposed convolutions without padding, 14x19 -> 64x84.

farhanhubble/udacity-connect (FCN-mnist.ipynb at e961dc1), whose notebook prints the published
numbers: kernels 2, strides 1, 1, 2, 2, channels 128, 128, 64, 32, then the scores; a ReLU after
each layer, the scores too; all random at first. Sizes are height x width. For the backbone
`mnist_small`, which pads images to multiples of 4; the padding is cropped at the bottom and right.
"""

from keras import KerasTensor, layers

from fcn.network.decoder import Decoder, Features

STRIDE = 1
LAYERS = ((1, 128), (1, 128), (2, 64), (2, 32))
"""Stride and channels of each layer."""


def logits(images: KerasTensor, features: Features, decoder: Decoder) -> KerasTensor:
    """Return logits B H W K from the backbone's features."""
    x = features["last"]
    for number, (stride, channels) in enumerate(LAYERS, start=1):
        name = f"upconv{number}"
        x = layers.Conv2DTranspose(
            channels,
            2,
            strides=stride,
            activation="relu",
            kernel_initializer=decoder.initializer(name, "random"),
            name=name,
        )(x)
    return decoder.crop(decoder.relu_score(x, "score"), images)
