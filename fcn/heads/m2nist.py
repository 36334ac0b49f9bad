"""The M2NIST decoder: two transposed convolutions without padding, 14x19 -> 30x40 -> 64x84.

Farhan Ahmad, "Rediscovering Semantic Segmentation" (2018): ReLU scores, kernels 4 and 6, strides 2,
with biases, all random at first. Sizes are height x width. For the backbone `mnist_small`, which
pads images to multiples of 4; the padding is cropped at the bottom and right.
"""

from keras import KerasTensor, layers

from fcn.network.decoder import SCORES, Decoder, Features

STRIDE = 4


def logits(images: KerasTensor, features: Features, decoder: Decoder) -> KerasTensor:
    """Return logits B H W K from the backbone's features."""
    x = decoder.relu_score(features["last"], "score_fr")
    for name, kernel in (("upscore2", 4), ("upscore4", 6)):
        x = layers.Conv2DTranspose(
            decoder.classes,
            kernel,
            strides=2,
            kernel_initializer=decoder.initializer(name, "random"),
            dtype=SCORES,
            name=name,
        )(x)
    return decoder.crop(x, images)
