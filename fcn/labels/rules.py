"""The label contract, one function per rule: what each example and each set must satisfy.

A mask is uint8 H W of class indices, 255 for unlabelled pixels. As one-hot H W K each pixel's row
holds a single 1, none where ignored. `fcn.labels.leakage` has the rules on similarity between
splits, `fcn.labels.integrity` those on index and files; `fcn.labels.check` applies all.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import numpy as np

from fcn.records.index import IndexRow
from fcn.records.labels import Labels
from fcn.records.record import DecodedSample
from fcn.records.sample import IGNORE_INDEX

Severity = Literal["error", "warning", "off"]
Rows = list[IndexRow]

VOID = 0.5
"""Share of ignored pixels in an image above which a warning is given: VOC has 5 %, CamVid 4 %, and
14 of 2,913 VOC masks are above this."""


def no_class(mask: np.ndarray, classes: int) -> np.ndarray | None:
    """Return where a mask uint8 H W holds neither a class nor `IGNORE_INDEX`, None if nowhere."""
    # Adding 1 wraps 255 to 0: `IGNORE_INDEX` and the classes become 0..K.
    raised = mask + np.uint8(1)
    return raised > classes if raised.max(initial=0) > classes else None


def no_row(rows: np.ndarray) -> np.ndarray | None:
    """Return where one-hot rows uint8 H W K hold more than a single 1, None if nowhere."""
    if rows.max(initial=0) <= 1:
        sums = rows.sum(axis=-1, dtype=np.uint8)  # at most K, which is below 255
        return sums > 1 if sums.max(initial=0) > 1 else None
    return (rows > 1).any(axis=-1) | (np.count_nonzero(rows, axis=-1) > 1)


def size(example: DecodedSample, row: IndexRow, labels: Labels) -> Iterator[tuple[int, str]]:
    """Image and mask have the same height and width."""
    image, mask = example.image.shape[:2], example.label.shape
    if image != mask:
        yield example.label.size, f"image is {image[0]}x{image[1]}, mask is {mask[0]}x{mask[1]}"


def values(example: DecodedSample, row: IndexRow, labels: Labels) -> Iterator[tuple[int, str]]:
    """Every pixel is a class or ignored."""
    classes = len(labels.classes)
    wrong = no_class(example.label, classes)
    if wrong is not None:
        strange = np.unique(example.label[wrong]).tolist()
        yield (
            int(wrong.sum()),
            f"{_pixels(wrong)} with {strange}, {_first(wrong)}; "
            f"allowed: 0..{classes - 1} and {IGNORE_INDEX} (ignored)",
        )


def one_hot_rows(
    example: DecodedSample, row: IndexRow, labels: Labels
) -> Iterator[tuple[int, str]]:
    """Stored as one-hot, every pixel's row holds a single 1, and none exactly where ignored.

    A mask stored as indices can violate this only through its `values`.
    """
    if example.one_hot is None:
        return
    if example.one_hot.shape[-1] != len(labels.classes):
        yield (
            example.label.size,
            f"one-hot rows of {example.one_hot.shape[-1]}, but there are {len(labels.classes)} "
            "classes",
        )
    several = no_row(example.one_hot)
    if several is not None:
        yield (
            int(several.sum()),
            f"{_pixels(several)} with a one-hot row that is not a single 1, {_first(several)}",
        )
    zero = example.label == IGNORE_INDEX
    more = int(np.count_nonzero(zero)) - row.ignored
    if more:
        yield (
            abs(more),
            f"{_pixels(zero)} with a one-hot row of zeros, but {row.ignored} ignored; "
            f"{_first(zero)}",
        )


def nothing_known(
    example: DecodedSample, row: IndexRow, labels: Labels
) -> Iterator[tuple[int, str]]:
    """At least one pixel is not ignored."""
    if (example.label == IGNORE_INDEX).all():
        yield example.label.size, "every pixel is ignored"


def empty(example: DecodedSample, row: IndexRow, labels: Labels) -> Iterator[tuple[int, str]]:
    """Some pixel is of another class than the first."""
    labelled = example.label != IGNORE_INDEX
    if labelled.any() and not example.label[labelled].any():
        yield (
            int(labelled.sum()),
            f"the mask is empty: every labelled pixel is {labels.classes[0]!r}",
        )


def void_share(example: DecodedSample, row: IndexRow, labels: Labels) -> Iterator[tuple[int, str]]:
    """At most `VOID` of the pixels are ignored."""
    ignored = int(np.count_nonzero(example.label == IGNORE_INDEX))
    if VOID * example.label.size < ignored < example.label.size:
        yield ignored, f"{ignored / example.label.size:.0%} of the pixels are ignored"


EXAMPLE_RULES: dict[
    str, tuple[Severity, Callable[[DecodedSample, IndexRow, Labels], Iterator[tuple[int, str]]]]
] = {
    "size": ("error", size),
    "values": ("error", values),
    "one_hot_rows": ("error", one_hot_rows),
    "nothing_known": ("warning", nothing_known),
    "empty": ("warning", empty),
    "void_share": ("warning", void_share),
}
"""Each yields the number of wrong pixels and a message."""

SOURCE_RULES: dict[str, Severity] = {"unknown_colours": "error", "rgb_mask": "warning"}
"""Oddities of a source's mask, which `fcn.datasets.shared.masks` notes in the index."""


def promised_count(
    rows: Rows, labels: Labels, promised: Mapping[str, int]
) -> Iterator[tuple[str, str, str]]:
    """Every split holds at least as many examples as the settings promise."""
    counts = Counter(row.split for row in rows)
    for split, count in promised.items():
        if counts[split] < count:
            yield split, "", f"{counts[split]} examples, but the settings promise {count}"


def duplicate_id(
    rows: Rows, labels: Labels, promised: Mapping[str, int]
) -> Iterator[tuple[str, str, str]]:
    """An id names one example of its split."""
    for (split, name), count in Counter((row.split, row.id) for row in rows).items():
        if count > 1:
            yield split, name, f"{count} examples have this id"


def duplicate_image(
    rows: Rows, labels: Labels, promised: Mapping[str, int]
) -> Iterator[tuple[str, str, str]]:
    """No split holds an image twice, byte for byte."""
    first: dict[tuple[str, str], IndexRow] = {}
    for row in rows:
        other = first.setdefault((row.split, row.image_sha256), row)
        if other is not row:
            same = row.label_sha256 == other.label_sha256
            masks = "the same mask" if same else "another mask"
            yield row.split, row.id, f"the same image is {other.id}, with {masks}"


def class_never_seen(
    rows: Rows, labels: Labels, promised: Mapping[str, int]
) -> Iterator[tuple[str, str, str]]:
    """Every class has pixels in every split."""
    for split in dict.fromkeys(row.split for row in rows):
        total = np.sum([row.pixels for row in rows if row.split == split], axis=0)
        for absent in np.flatnonzero(total == 0):
            yield split, "", f"class {labels.classes[absent]!r} has no pixel"


SET_RULES: dict[
    str,
    tuple[Severity, Callable[[Rows, Labels, Mapping[str, int]], Iterator[tuple[str, str, str]]]],
] = {
    "promised": ("error", promised_count),
    "duplicate_id": ("error", duplicate_id),
    "duplicate_image": ("warning", duplicate_image),
    "class_never_seen": ("warning", class_never_seen),
}
"""Each yields the split, the example's id (empty: the split as a whole), and a message."""


def _pixels(wrong: np.ndarray) -> str:
    count = int(wrong.sum())
    return f"{count} pixel{'s' if count > 1 else ''}"


def _first(wrong: np.ndarray) -> str:
    row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return f"first at row {row}, column {column}"
