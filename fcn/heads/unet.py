"""U-Net's expanding path: maps are upsampled and concatenated with the backbone's of that size.

As in Apiquet/Segmentation (models/UNET.py), after Ronneberger et al., arXiv 1505.04597: transposed
convolutions 3x3 with ReLU, dropout, two convolutions. For the backbone `unet`, or any other with
maps `block…`; every block has as many channels as the backbone's. Scores of a backbone without a
map of the image's size are upsampled bilinearly at the end.
"""

import keras
from keras import KerasTensor, layers

from fcn.network.alignment import alignment_of
from fcn.network.decoder import Decoder, Features, require_same_padding
from fcn.network.layers import CropLike

STRIDE = 1
DROPOUT = 0.3
"""After each concatenation, as in the source."""


def logits(images: KerasTensor, features: Features, decoder: Decoder) -> KerasTensor:
    """Return logits B H W K from the backbone's features."""
    require_same_padding(decoder.padding, "the head unet")
    x = features["last"]
    blocks = sorted((name for name in features if name.startswith("block")), reverse=True)
    for name in blocks or ["block1"]:
        skip, number = features[name], name[-1]
        channels = skip.shape[-1]
        up = f"upscore_block{number}"
        x = layers.Conv2DTranspose(
            channels,
            3,
            strides=2,
            padding="same",
            activation="relu",
            kernel_initializer=decoder.initializer(up, "random"),
            name=up,
        )(x)
        # Pooling rounds sizes up. A kernel of 3 is not centred, so no crop is more exact than this.
        x = CropLike(name=f"{up}_crop")([x, skip])
        x = layers.Concatenate(name=f"concat_block{number}")([x, skip])
        x = layers.Dropout(DROPOUT, name=f"drop_block{number}")(x)
        for half in "ab":
            x = layers.Conv2D(
                channels,
                3,
                padding="same",
                activation="relu",
                kernel_initializer=keras.initializers.GlorotUniform(),
                name=f"up_block{number}{half}",
            )(x)
    scores = decoder.score(x, "score", keras.initializers.GlorotUniform())
    stride = round(alignment_of(scores).stride)
    if stride == 1:
        return scores
    return decoder.crop(decoder.upsample(scores, stride, f"upscore{stride}"), images)
