"""FCN-4s: FCN-8s, one step further: adds pool2's scores before upsampling 4 times.

The paper stops at pool3, where returns diminish (section 4.2); names continue its scheme.
"""

from keras import KerasTensor

from fcn.network.decoder import Decoder, Features

STRIDE = 4


def logits(images: KerasTensor, features: Features, decoder: Decoder) -> KerasTensor:
    """Return logits B H W K from the backbone's features."""
    score_fr = decoder.score(features["last"], "score_fr")
    score_pool4 = decoder.score(features["pool4"], "score_pool4")
    score_pool3 = decoder.score(features["pool3"], "score_pool3")
    score_pool2 = decoder.score(features["pool2"], "score_pool2")
    upscore2 = decoder.upsample(score_fr, 2, "upscore2")
    fuse_pool4 = decoder.fuse(upscore2, score_pool4, "fuse_pool4")
    upscore_pool4 = decoder.upsample(fuse_pool4, 2, "upscore_pool4")
    fuse_pool3 = decoder.fuse(upscore_pool4, score_pool3, "fuse_pool3")
    upscore_pool3 = decoder.upsample(fuse_pool3, 2, "upscore_pool3")
    fuse_pool2 = decoder.fuse(upscore_pool3, score_pool2, "fuse_pool2")
    return decoder.crop(decoder.upsample(fuse_pool2, 4, "upscore4"), images)
