"""A data set with some of its classes only, in a chosen order.

Daniil Pakhomov, tf-image-segmentation: the lookup list `['background', 'person', 'dog', …]` decides
which classes stay and their indices; all other objects become background.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fcn.common.text import nearest
from fcn.datasets.shared.dataset import Dataset
from fcn.records.sample import IGNORE_INDEX, LazySamples, Sample

BACKGROUND = "background"


def keep(dataset: Dataset, classes: Sequence[str]) -> Dataset:
    """Return `dataset` with a background and `classes`, numbered 1, 2, … in the order given.

    Pixels of other classes become background, ignored ones stay ignored, and images that hold none
    of `classes` are left out. A data set without a background gets a black one.

    Raises:
        ValueError: a class is not one of the data set's, or is listed twice.
    """
    objects = [name for name in dataset.classes if name != BACKGROUND]
    for name in classes:
        if name not in objects:
            raise ValueError(f"classes: {dataset.name} has no {name!r}; {nearest(name, objects)}")
    if len(set(classes)) < len(classes):
        raise ValueError(f"classes: {', '.join(classes)}: a class is listed twice")
    colour_of = {BACKGROUND: (0, 0, 0), **dict(zip(dataset.classes, dataset.colours, strict=True))}
    subset = (BACKGROUND, *classes)
    old_indices = [dataset.classes.index(name) for name in classes]
    new_index = np.arange(IGNORE_INDEX + 1, dtype=np.uint8)
    new_index[: len(dataset.classes)] = 0
    new_index[old_indices] = np.arange(1, len(subset))

    def samples(raw: Path, split: str, count: int, seed: int) -> Sequence[Sample]:
        whole = dataset.samples(raw, split, count, seed)
        numbers = [
            number for number, sample in enumerate(whole) if np.isin(old_indices, sample.mask).any()
        ]

        def read(number: int) -> Sample:
            sample = whole[number]
            return replace(sample, mask=new_index[sample.mask])

        return LazySamples(numbers, read)

    colours = tuple(colour_of[name] for name in subset)
    return replace(dataset, classes=subset, colours=colours, samples=samples)
