"""FCN-8s trained at once: its skips are scaled down, so that all scores learn together.

Shelhamer, Long & Darrell, arXiv 1605.06211. The constant factors and the names are those of
voc-fcn8s-atonce in shelhamer/fcn.berkeleyvision.org. All else is as in FCN-8s.
"""

from keras import KerasTensor, layers

from fcn.network.decoder import Decoder, Features

STRIDE = 8


def logits(images: KerasTensor, features: Features, decoder: Decoder) -> KerasTensor:
    """Return logits B H W K from the backbone's features."""
    scale_pool4 = layers.Rescaling(0.01, name="scale_pool4")(features["pool4"])
    scale_pool3 = layers.Rescaling(0.0001, name="scale_pool3")(features["pool3"])
    score_fr = decoder.score(features["last"], "score_fr")
    score_pool4 = decoder.score(scale_pool4, "score_pool4")
    score_pool3 = decoder.score(scale_pool3, "score_pool3")
    upscore2 = decoder.upsample(score_fr, 2, "upscore2")
    fuse_pool4 = decoder.fuse(upscore2, score_pool4, "fuse_pool4")
    upscore_pool4 = decoder.upsample(fuse_pool4, 2, "upscore_pool4")
    fuse_pool3 = decoder.fuse(upscore_pool4, score_pool3, "fuse_pool3")
    return decoder.crop(decoder.upsample(fuse_pool3, 8, "upscore8"), images)
