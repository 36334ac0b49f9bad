"""FCN-16s: adds pool4's scores before upsampling 16 times. Long et al., section 4.2, figure 3."""

from keras import KerasTensor

from fcn.network.decoder import Decoder, Taps

STRIDE = 16


def logits(images: KerasTensor, taps: Taps, make: Decoder) -> KerasTensor:
    """Return logits B H W K from the backbone's taps."""
    score_fr = make.score(taps["last"], "score_fr")
    score_pool4 = make.score(taps["pool4"], "score_pool4")
    upscore2 = make.upsample(score_fr, 2, "upscore2")
    fuse_pool4 = make.fuse(upscore2, score_pool4, "fuse_pool4")
    return make.crop(make.upsample(fuse_pool4, 16, "upscore16"), images)
