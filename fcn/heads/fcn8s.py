"""FCN-8s: adds pool4's and pool3's scores before upsampling 8 times. Long et al., section 4.2."""

from keras import KerasTensor

from fcn.network.decoder import Decoder, Features

STRIDE = 8


def logits(images: KerasTensor, features: Features, decoder: Decoder) -> KerasTensor:
    """Return logits B H W K from the backbone's features."""
    score_fr = decoder.score(features["last"], "score_fr")
    score_pool4 = decoder.score(features["pool4"], "score_pool4")
    score_pool3 = decoder.score(features["pool3"], "score_pool3")
    upscore2 = decoder.upsample(score_fr, 2, "upscore2")
    fuse_pool4 = decoder.fuse(upscore2, score_pool4, "fuse_pool4")
    upscore_pool4 = decoder.upsample(fuse_pool4, 2, "upscore_pool4")
    fuse_pool3 = decoder.fuse(upscore_pool4, score_pool3, "fuse_pool3")
    return decoder.crop(decoder.upsample(fuse_pool3, 8, "upscore8"), images)
