"""FCN-8s: adds pool4's and pool3's scores before upsampling 8 times. Long et al., section 4.2."""

from keras import KerasTensor

from fcn.layers import fuse, score, upsample

STRIDE = 8


def logits(images: KerasTensor, taps: dict[str, KerasTensor], classes: int) -> KerasTensor:
    """Return logits B H W K from the backbone's taps."""
    score_fr = score(taps["fc7"], classes, "score_fr")
    score_pool4 = score(taps["pool4"], classes, "score_pool4")
    score_pool3 = score(taps["pool3"], classes, "score_pool3")
    upscore2 = upsample(score_fr, 2, score_pool4, "upscore2")
    fuse_pool4 = fuse(upscore2, score_pool4, "fuse_pool4")
    upscore_pool4 = upsample(fuse_pool4, 2, score_pool3, "upscore_pool4")
    fuse_pool3 = fuse(upscore_pool4, score_pool3, "fuse_pool3")
    return upsample(fuse_pool3, 8, images, "upscore8")
