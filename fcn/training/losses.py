"""Losses over pixels."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import keras
from keras import KerasTensor, ops

from fcn.records.sample import IGNORE_INDEX
from fcn.settings.training import Training

Loss = Any
"""What Keras compiles: a function of labels and the model's output."""


@keras.saving.register_keras_serializable(package="fcn")
def pixel_cross_entropy(
    labels: KerasTensor,
    logits: KerasTensor,
    reduction: Literal["mean", "sum"] = "mean",
    weights: Sequence[float] | None = None,
) -> KerasTensor:
    """Return the cross-entropy (nats) over all pixels of the batch that are not ignored.

    Translations and crops change the number of valid pixels from step to step; a mean keeps the
    loss comparable. A batch without a valid pixel has loss 0.

    Args:
        labels: B H W of class indices, or one-hot rows B H W K, all 0 where ignored.
        logits: B H W K, of any precision; the loss is float32.
        reduction: `mean` divides by the number of valid pixels, whatever their weights; `sum` does
            not divide, as Long et al. trained with a batch of 1.
        weights: K; each pixel's loss is multiplied by the weight of its true class.
    """
    if len(labels.shape) == len(logits.shape):
        labelled = ops.any(labels > 0, axis=-1)
        labels = ops.where(labelled, ops.argmax(labels, axis=-1), IGNORE_INDEX)
    labels = ops.cast(labels, "int32")
    valid = ops.cast(labels != IGNORE_INDEX, "float32")
    classes = ops.where(labels == IGNORE_INDEX, 0, labels)
    losses = ops.sparse_categorical_crossentropy(
        classes, ops.cast(logits, "float32"), from_logits=True
    )
    if weights is not None:
        losses = losses * ops.take(ops.convert_to_tensor(weights, "float32"), classes)
    total = ops.sum(losses * valid)
    return total if reduction == "sum" else total / ops.maximum(ops.sum(valid), 1.0)


def build(training: Training, weights: Sequence[float] | None) -> Loss:
    """Return the loss of the settings, with weights from `fcn.training.class_weights`."""
    return partial(pixel_cross_entropy, reduction=training.reduction, weights=weights)
