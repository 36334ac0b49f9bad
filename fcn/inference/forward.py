"""Run a network over a split, at the label's original size."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from fcn.inference import tiles
from fcn.network import build
from fcn.records.record import Decoded
from fcn.scores.metrics import confusion_matrix


@dataclass(frozen=True)
class Prediction:
    """What a network says of one image, and how sure it is."""

    mask: np.ndarray
    """The class with the largest score, the first of equals, uint8 H W."""
    confidence: np.ndarray
    """Its softmax, float32 H W."""
    likely: np.ndarray
    """Which classes, the first left out, have a softmax above a threshold, bool H W K - 1."""


def predict(
    model: keras.Model, examples: Iterable[Decoded], batch: int
) -> Iterator[tuple[Decoded, np.ndarray]]:
    """Yield every example with its predicted mask uint8 H W, in order.

    Neighbours of the same size go through the network together, `batch` at the most.
    """
    for example, scores in _forward(model, examples, batch):
        yield example, scores.argmax(axis=-1).astype(np.uint8)


def predict_surely(
    model: keras.Model,
    examples: Iterable[Decoded],
    batch: int,
    threshold: float,
    window: int | None = None,
) -> Iterator[tuple[Decoded, Prediction]]:
    """Yield every example with its prediction, in order; examples are read ahead.

    With a `window`, larger images are predicted in tiles of this side (`fcn.inference.tiles`).

    Probabilities are computed where the network is; they are many, what is kept of them is little.
    """
    ops, scores = keras.ops, model.outputs[0]
    softmax = ops.softmax(scores, axis=-1)
    says = {
        "mask": ops.cast(ops.argmax(scores, axis=-1), "uint8"),
        "confidence": ops.max(softmax, axis=-1),
        "likely": softmax[..., 1:] > threshold,
    }
    for example, said in _forward(keras.Model(model.inputs, says), examples, batch, window):
        yield example, Prediction(**said)


def count(model: keras.Model, examples: Iterable[Decoded], batch: int, classes: int) -> np.ndarray:
    """Return the confusion matrix of each example, N K K int64."""
    return np.stack(
        [
            confusion_matrix(example.label, mask, classes)
            for example, mask in predict(model, examples, batch)
        ]
    )


def _forward(
    model: keras.Model, examples: Iterable[Decoded], batch: int, window: int | None = None
) -> Iterator[tuple[Decoded, Any]]:
    """Yield every example with the model's outputs for it, one array or a dict of them."""

    def outputs_of(images: np.ndarray) -> Any:
        return keras.tree.map_structure(keras.ops.convert_to_numpy, model.predict_on_batch(images))

    tiling = tiles.Tiling(window, build.resize_factor(model)) if window is not None else None
    for group in _ahead(_same_size(examples, batch)):
        if tiling is not None and max(group[0].image.shape[:2]) > tiling.side:
            for example in group:
                yield example, tiling.predict(outputs_of, example.image)
            continue
        # Filled up to the batch's size: another shape would trace the network again.
        images = np.zeros((batch, *group[0].image.shape), np.uint8)
        images[: len(group)] = [example.image for example in group]
        outputs = outputs_of(images)
        for number, example in enumerate(group):
            yield example, keras.tree.map_structure(lambda output, n=number: output[n], outputs)


def _same_size(examples: Iterable[Decoded], batch: int) -> Iterator[list[Decoded]]:
    group: list[Decoded] = []
    for example in examples:
        if group and (len(group) == batch or example.image.shape != group[0].image.shape):
            yield group
            group = []
        group.append(example)
    if group:
        yield group


def _ahead(groups: Iterator[list[Decoded]]) -> Iterator[list[Decoded]]:
    """Yield the groups, the next one being read in a thread of its own meanwhile."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        nothing: list[Decoded] = []
        coming = reader.submit(next, groups, nothing)
        while group := coming.result():
            coming = reader.submit(next, groups, nothing)
            yield group
