"""FCN-16s: adds pool4's scores before upsampling 16 times. Long et al., section 4.2, figure 3."""

from keras import KerasTensor

from fcn.network.decoder import Decoder, Features

STRIDE = 16


def logits(images: KerasTensor, features: Features, decoder: Decoder) -> KerasTensor:
    """Return logits B H W K from the backbone's features."""
    score_fr = decoder.score(features["last"], "score_fr")
    score_pool4 = decoder.score(features["pool4"], "score_pool4")
    upscore2 = decoder.upsample(score_fr, 2, "upscore2")
    fuse_pool4 = decoder.fuse(upscore2, score_pool4, "fuse_pool4")
    return decoder.crop(decoder.upsample(fuse_pool4, 16, "upscore16"), images)
