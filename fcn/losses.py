"""Losses over pixels."""

import keras
from keras import KerasTensor, ops

from fcn.dataset import IGNORE


@keras.saving.register_keras_serializable(package="fcn")
def pixel_cross_entropy(labels: KerasTensor, logits: KerasTensor) -> KerasTensor:
    """Return the mean cross-entropy (nats) over all pixels of the batch that are not ignored.

    Labels B H W of class indices, logits B H W K. Shifts and crops change the number of valid
    pixels from step to step; a mean keeps the loss comparable. A batch without any is 0.
    """
    labels = ops.cast(labels, "int32")
    valid = ops.cast(labels != IGNORE, "float32")
    known = ops.where(labels == IGNORE, 0, labels)
    losses = ops.sparse_categorical_crossentropy(
        known, ops.cast(logits, "float32"), from_logits=True
    )
    return ops.sum(losses * valid) / ops.maximum(ops.sum(valid), 1.0)
