"""Three scores, each upsampled separately and added with constant weights 1, 2, 4.

As in ljanyst/image-segmentation-fcn (fcnvgg.py). Initially scores are drawn from a truncated normal
distribution of standard deviation 0.1, and upsampling is bilinear.
"""

import keras
from keras import KerasTensor, layers

from fcn.network.decoder import SCORES, Decoder, Features

STRIDE = 8
SKIPS = {"pool3": (8, 1), "pool4": (16, 2), "last": (32, 4)}
"""By map: the stride of its upsampling, and its weight in the sum."""


def logits(images: KerasTensor, features: Features, decoder: Decoder) -> KerasTensor:
    """Return logits B H W K from the backbone's features."""
    summands = []
    for feature, (stride, weight) in SKIPS.items():
        name = "score_fr" if feature == "last" else f"score_{feature}"
        normal = keras.initializers.TruncatedNormal(stddev=0.1)
        upscore = decoder.upsample(
            decoder.score(features[feature], name, normal), stride, f"upscore{stride}"
        )
        scaled = layers.Rescaling(weight, dtype=SCORES, name=f"weight{stride}")(upscore)
        summands.append(decoder.crop(scaled, images))
    return layers.Add(dtype=SCORES, name="sum")(summands)
