"""FCN-16s: adds pool4's scores before upsampling 16 times. Long et al., section 4.2, figure 3."""

from keras import KerasTensor

from fcn.layers import fuse, score, upsample

STRIDE = 16


def logits(images: KerasTensor, taps: dict[str, KerasTensor], classes: int) -> KerasTensor:
    """Return logits B H W K from the backbone's taps."""
    score_fr = score(taps["fc7"], classes, "score_fr")
    score_pool4 = score(taps["pool4"], classes, "score_pool4")
    upscore2 = upsample(score_fr, 2, score_pool4, "upscore2")
    fuse_pool4 = fuse(upscore2, score_pool4, "fuse_pool4")
    return upsample(fuse_pool4, 16, images, "upscore16")
