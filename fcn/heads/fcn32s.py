"""FCN-32s: fc7's scores, upsampled 32 times. Long et al., arXiv 1411.4038, section 4.1."""

from keras import KerasTensor

from fcn.layers import score, upsample

STRIDE = 32


def logits(images: KerasTensor, taps: dict[str, KerasTensor], classes: int) -> KerasTensor:
    """Return logits B H W K from the backbone's taps."""
    score_fr = score(taps["fc7"], classes, "score_fr")
    return upsample(score_fr, 32, images, "upscore32")
