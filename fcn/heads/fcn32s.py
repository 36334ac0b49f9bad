"""FCN-32s: fc7's scores, upsampled 32 times. Long et al., arXiv 1411.4038, section 4.1."""

from keras import KerasTensor

from fcn.network.decoder import Decoder, Features

STRIDE = 32


def logits(images: KerasTensor, features: Features, decoder: Decoder) -> KerasTensor:
    """Return logits B H W K from the backbone's features."""
    score_fr = decoder.score(features["last"], "score_fr")
    return decoder.crop(decoder.upsample(score_fr, 32, "upscore32"), images)
