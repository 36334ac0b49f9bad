"""The M2NIST decoder: two transposed convolutions without padding, 14x19 -> 30x40 -> 64x84.

Farhan Ahmad, "Rediscovering Semantic Segmentation" (2018): ReLU scores, kernels 4 and 6, strides 2,
with biases, all started at random. Stands on the backbone `mnist_small`, which pads images to
multiples of 4; what lies beyond the image is cropped at the bottom and right.
"""

from keras import KerasTensor

from fcn.network.decoder import Decoder, Features

STRIDE = 4


def logits(images: KerasTensor, features: Features, make: Decoder) -> KerasTensor:
    """Return logits B H W K from the backbone's features."""
    x = make.relu_score(features["last"], "score_fr")
    for name, kernel in (("upscore2", 4), ("upscore4", 6)):
        x = make.upsample(x, 2, name, "random", kernel, valid=True, bias=True)
    return make.crop(x, images)
