"""Three scores, each upsampled on its own and added with fixed weights 1, 2, 4.

As in ljanyst/image-segmentation-fcn (fcnvgg.py): no score sees another before the sum. Its scores
start as a truncated normal of standard deviation 0.1, its upsampling bilinear.
"""

import keras
from keras import KerasTensor, layers

from fcn.network.decoder import SCORES, Decoder, Features

STRIDE = 8
SKIPS = {"pool3": (8, 1), "pool4": (16, 2), "last": (32, 4)}
"""Map: how many times it is upsampled, and its weight in the sum."""


def logits(images: KerasTensor, features: Features, make: Decoder) -> KerasTensor:
    """Return logits B H W K from the backbone's features."""
    summands = []
    for feature, (stride, weight) in SKIPS.items():
        name = "score_fr" if feature == "last" else f"score_{feature}"
        start = keras.initializers.TruncatedNormal(stddev=0.1)
        upscore = make.upsample(
            make.score(features[feature], name, start), stride, f"upscore{stride}"
        )
        scaled = layers.Rescaling(weight, dtype=SCORES, name=f"weight{stride}")(upscore)
        summands.append(make.crop(scaled, images))
    return layers.Add(dtype=SCORES, name="sum")(summands)
