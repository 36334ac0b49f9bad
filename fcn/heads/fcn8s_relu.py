"""FCN-8 of Apiquet/Segmentation (models/FCN8.py): ReLU scores, a last kernel of 8 at stride 8.

The last map is upsampled to scores without being scored first; in the source it is pool5 (`fc:
false`). The last kernel does not overlap itself. All layers are random at first. The source has
typed-in crops for 300x300, which differ between top and left; here maps are aligned at any size.
"""

from keras import KerasTensor

from fcn.network.decoder import Decoder, Features

STRIDE = 8


def logits(images: KerasTensor, features: Features, decoder: Decoder) -> KerasTensor:
    """Return logits B H W K from the backbone's features."""
    score_pool4 = decoder.relu_score(features["pool4"], "score_pool4")
    score_pool3 = decoder.relu_score(features["pool3"], "score_pool3")
    upscore2 = decoder.upsample(features["last"], 2, "upscore2", "random")
    fuse_pool4 = decoder.fuse(upscore2, score_pool4, "fuse_pool4")
    upscore_pool4 = decoder.upsample(fuse_pool4, 2, "upscore_pool4", "random")
    fuse_pool3 = decoder.fuse(upscore_pool4, score_pool3, "fuse_pool3")
    return decoder.crop(decoder.upsample(fuse_pool3, 8, "upscore8", "random", kernel=8), images)
