"""Run a network over a split and count, per image and at the label's original size."""

from collections.abc import Iterator, Sequence

import keras
import numpy as np

from fcn.metrics import confusion_matrix
from fcn.records import Decoded


def predict(
    model: keras.Model, examples: Sequence[Decoded], batch: int
) -> Iterator[tuple[Decoded, np.ndarray]]:
    """Yield every example with its predicted mask uint8 H W, in order.

    Neighbours of the same size go through the network together, `batch` at the most.
    """
    for group in _same_size(examples, batch):
        # Filled up to the batch's size: another shape would trace the network again.
        images = np.zeros((batch, *group[0].image.shape), np.uint8)
        images[: len(group)] = [example.image for example in group]
        logits = keras.ops.convert_to_numpy(model.predict_on_batch(images))
        for example, scores in zip(group, logits, strict=False):
            yield example, scores.argmax(axis=-1).astype(np.uint8)


def count(model: keras.Model, examples: Sequence[Decoded], batch: int, classes: int) -> np.ndarray:
    """Return the confusion matrix of each example, N K K int64."""
    return np.stack(
        [
            confusion_matrix(example.label, mask, classes)
            for example, mask in predict(model, examples, batch)
        ]
    )


def _same_size(examples: Sequence[Decoded], batch: int) -> Iterator[list[Decoded]]:
    group: list[Decoded] = []
    for example in examples:
        if group and (len(group) == batch or example.image.shape != group[0].image.shape):
            yield group
            group = []
        group.append(example)
    if group:
        yield group
