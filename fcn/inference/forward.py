"""Run a network on the samples of a split; outputs have the label's original size."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from fcn.inference import tiles
from fcn.network import build
from fcn.records.record import DecodedSample
from fcn.scores.metrics import confusion_matrix


@dataclass(frozen=True)
class Prediction:
    """The predicted classes of one image, and their probabilities."""

    mask: np.ndarray
    """The class with the largest logit, the first of equals, uint8 H W."""
    confidence: np.ndarray
    """The softmax of this class, float32 H W."""
    thresholded: np.ndarray
    """Whether the softmax of each class but the first is above a threshold, bool H W K - 1."""


def predict(
    model: keras.Model, samples: Iterable[DecodedSample], batch: int
) -> Iterator[tuple[DecodedSample, np.ndarray]]:
    """Yield every sample with its predicted mask uint8 H W, in order.

    Consecutive samples of the same size form batches of at most `batch`.
    """
    for sample, logits in _forward(model, samples, batch):
        yield sample, logits.argmax(axis=-1).astype(np.uint8)


def predict_with_confidence(
    model: keras.Model,
    samples: Iterable[DecodedSample],
    batch: int,
    threshold: float,
    window: int | None = None,
) -> Iterator[tuple[DecodedSample, Prediction]]:
    """Yield every sample with its mask and probabilities, in order; samples are read ahead.

    With a `window`, larger images are predicted in tiles of this side in pixels
    (`fcn.inference.tiles`). The model itself reduces the probabilities to a `Prediction`, so that
    the full softmax H W K is never copied from its device.
    """
    ops, logits = keras.ops, model.outputs[0]
    softmax = ops.softmax(logits, axis=-1)
    outputs = {
        "mask": ops.cast(ops.argmax(logits, axis=-1), "uint8"),
        "confidence": ops.max(softmax, axis=-1),
        "thresholded": softmax[..., 1:] > threshold,
    }
    for sample, arrays in _forward(keras.Model(model.inputs, outputs), samples, batch, window):
        yield sample, Prediction(**arrays)


def confusion_matrices(
    model: keras.Model, samples: Iterable[DecodedSample], batch: int, classes: int
) -> np.ndarray:
    """Return the confusion matrix of each sample, N K K int64."""
    return np.stack(
        [
            confusion_matrix(sample.label, mask, classes)
            for sample, mask in predict(model, samples, batch)
        ]
    )


def _forward(
    model: keras.Model, samples: Iterable[DecodedSample], batch: int, window: int | None = None
) -> Iterator[tuple[DecodedSample, Any]]:
    """Yield every sample with the model's outputs for it, one array or a dict of arrays."""

    def outputs_of(images: np.ndarray) -> Any:
        return keras.tree.map_structure(keras.ops.convert_to_numpy, model.predict_on_batch(images))

    tiling = tiles.Tiling(window, build.resize_factor(model)) if window is not None else None
    for group in _prefetch(_group_by_size(samples, batch)):
        if tiling is not None and max(group[0].image.shape[:2]) > tiling.side:
            for sample in group:
                yield sample, tiling.predict(outputs_of, sample.image)
            continue
        # Padded to the full batch: another shape would trace the network again.
        images = np.zeros((batch, *group[0].image.shape), np.uint8)
        images[: len(group)] = [sample.image for sample in group]
        outputs = outputs_of(images)
        for number, sample in enumerate(group):
            yield sample, keras.tree.map_structure(lambda output, n=number: output[n], outputs)


def _group_by_size(samples: Iterable[DecodedSample], batch: int) -> Iterator[list[DecodedSample]]:
    """Yield consecutive samples of the same image size, at most `batch` at a time."""
    group: list[DecodedSample] = []
    for sample in samples:
        if group and (len(group) == batch or sample.image.shape != group[0].image.shape):
            yield group
            group = []
        group.append(sample)
    if group:
        yield group


def _prefetch(groups: Iterator[list[DecodedSample]]) -> Iterator[list[DecodedSample]]:
    """Yield the groups; a thread reads the next one meanwhile."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        end: list[DecodedSample] = []
        next_group = reader.submit(next, groups, end)
        while group := next_group.result():
            next_group = reader.submit(next, groups, end)
            yield group
