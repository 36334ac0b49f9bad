"""A data set with some of its classes only, in an order of one's own.

Daniil Pakhomov, tf-image-segmentation: the lookup list `['background', 'person', 'dog', …]` decides
which classes stay and what number they get; all other objects become background.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fcn.common.text import nearest
from fcn.datasets.shared.dataset import IGNORE_INDEX, Dataset, Lazy, Pair

BACKGROUND = "background"


def keep(dataset: Dataset, classes: Sequence[str]) -> Dataset:
    """Return `dataset` with a background and `classes`, numbered 1, 2, … in the order given.

    Pixels of other classes become background, ignored ones stay ignored, and images that hold none
    of `classes` are left out. A data set without a background gets a black one.

    Raises:
        ValueError: a class is not one of the data set's, or stands there twice.
    """
    known = [name for name in dataset.classes if name != BACKGROUND]
    for name in classes:
        if name not in known:
            raise ValueError(f"classes: {dataset.name} has no {name!r}; {nearest(name, known)}")
    if len(set(classes)) < len(classes):
        raise ValueError(f"classes: {', '.join(classes)}: a class stands there twice")
    colour = {BACKGROUND: (0, 0, 0), **dict(zip(dataset.classes, dataset.colours, strict=True))}
    kept = (BACKGROUND, *classes)
    old = [dataset.classes.index(name) for name in classes]
    number = np.arange(IGNORE_INDEX + 1, dtype=np.uint8)
    number[: len(dataset.classes)] = 0
    number[old] = np.arange(1, len(kept))

    def pairs(raw: Path, split: str, count: int, seed: int) -> Sequence[Pair]:
        whole = dataset.pairs(raw, split, count, seed)
        holding = [place for place, pair in enumerate(whole) if np.isin(old, pair.mask).any()]

        def read(place: int) -> Pair:
            pair = whole[place]
            return replace(pair, mask=number[pair.mask])

        return Lazy(holding, read)

    colours = tuple(colour[name] for name in kept)
    return replace(dataset, classes=kept, colours=colours, pairs=pairs)
