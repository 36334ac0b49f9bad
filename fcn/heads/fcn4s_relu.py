"""FCN-4 of Apiquet/Segmentation (models/FCN4.py): its FCN-8 and pool2's scores, 8x8 at stride 4."""

from keras import KerasTensor

from fcn.network.decoder import Decoder, Features

STRIDE = 4


def logits(images: KerasTensor, features: Features, decoder: Decoder) -> KerasTensor:
    """Return logits B H W K from the backbone's features."""
    score_pool4 = decoder.relu_score(features["pool4"], "score_pool4")
    score_pool3 = decoder.relu_score(features["pool3"], "score_pool3")
    score_pool2 = decoder.relu_score(features["pool2"], "score_pool2")
    upscore2 = decoder.upsample(features["last"], 2, "upscore2", "random")
    fuse_pool4 = decoder.fuse(upscore2, score_pool4, "fuse_pool4")
    upscore_pool4 = decoder.upsample(fuse_pool4, 2, "upscore_pool4", "random")
    fuse_pool3 = decoder.fuse(upscore_pool4, score_pool3, "fuse_pool3")
    upscore_pool3 = decoder.upsample(fuse_pool3, 2, "upscore_pool3", "random")
    fuse_pool2 = decoder.fuse(upscore_pool3, score_pool2, "fuse_pool2")
    return decoder.crop(decoder.upsample(fuse_pool2, 4, "upscore4", "random"), images)
