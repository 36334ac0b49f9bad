"""The label contract, one function per rule; findings name the example and the pixel.

A mask is uint8 H W of class indices, 255 where nobody knows. As one-hot H W K each pixel's row sums
to 1, to 0 where ignored. `check` asks every rule about every example and about the set as a whole.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fcn.dataset import IGNORE
from fcn.files import read_json
from fcn.records import Decoded, Labels, Records, fingerprint, read_index, read_labels

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (error) or odd (warning)."""

    rule: str
    severity: Severity
    split: str
    example: str
    """The example's id, or empty for the split as a whole."""
    message: str


def one_hot(mask: np.ndarray, classes: int) -> np.ndarray:
    """Return the mask H W as uint8 H W K: one 1 in each row, none where ignored."""
    return (mask[..., None] == np.arange(classes, dtype=mask.dtype)).astype(np.uint8)


def size(example: Decoded, labels: Labels) -> Iterator[str]:
    """Image and mask have the same height and width."""
    if example.image.shape[:2] != example.label.shape:
        yield f"image is {_size(example.image)}, mask is {_size(example.label)}"


def values(example: Decoded, labels: Labels) -> Iterator[str]:
    """Every pixel is a class or ignored."""
    classes = len(labels.classes)
    wrong = (example.label >= classes) & (example.label != IGNORE)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        found = np.unique(example.label[wrong]).tolist()
        yield (
            f"{wrong.sum()} pixels hold {found}, first at row {row}, column {column}; "
            f"allowed: 0..{classes - 1} and {IGNORE} (ignored)"
        )


def one_hot_rows(example: Decoded, labels: Labels) -> Iterator[str]:
    """As one-hot, every pixel's row sums to 1, to 0 exactly where ignored."""
    sums = one_hot(example.label, len(labels.classes)).sum(axis=-1)
    wrong = sums != (example.label != IGNORE)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        yield f"{wrong.sum()} one-hot rows do not sum to 1, first at row {row}, column {column}"


def nothing_known(example: Decoded, labels: Labels) -> Iterator[str]:
    """At least one pixel is not ignored."""
    if (example.label == IGNORE).all():
        yield "every pixel is ignored"


EXAMPLE_RULES: dict[str, tuple[Severity, Callable[[Decoded, Labels], Iterator[str]]]] = {
    "size": ("error", size),
    "values": ("error", values),
    "one_hot_rows": ("error", one_hot_rows),
    "nothing_known": ("warning", nothing_known),
}

Rows = list[dict[str, Any]]


def same_id(rows: Rows, labels: Labels) -> Iterator[tuple[str, str, str]]:
    """An id names one example of the data set."""
    for name, count in Counter(row["id"] for row in rows).items():
        if count > 1:
            yield "", name, f"{count} examples have this id"


def same_image(rows: Rows, labels: Labels) -> Iterator[tuple[str, str, str]]:
    """No image stands in two splits, byte for byte."""
    for row, other in _shared(rows, lambda row: [row["image_sha256"]]):
        yield row["split"], row["id"], f"the same image is {other['id']} of split {other['split']}"


def same_group(rows: Rows, labels: Labels) -> Iterator[tuple[str, str, str]]:
    """No group (source digit, video sequence) has examples in two splits."""
    for row, other in _shared(rows, lambda row: row["group"]):
        common = sorted(set(row["group"]) & set(other["group"]))
        place = f"{other['id']} of split {other['split']}"
        yield row["split"], row["id"], f"shares {', '.join(common)} with {place}"


def class_never_seen(rows: Rows, labels: Labels) -> Iterator[tuple[str, str, str]]:
    """Every class has pixels in every split."""
    for split in dict.fromkeys(row["split"] for row in rows):
        total = np.sum([row["pixels"] for row in rows if row["split"] == split], axis=0)
        for absent in np.flatnonzero(total == 0):
            yield split, "", f"class {labels.classes[absent]!r} has no pixel"


SET_RULES: dict[str, tuple[Severity, Callable[[Rows, Labels], Iterator[tuple[str, str, str]]]]] = {
    "same_id": ("error", same_id),
    "same_image": ("error", same_image),
    "same_group": ("error", same_group),
    "class_never_seen": ("warning", class_never_seen),
}


def check(folder: Path) -> list[Finding]:
    """Return what every rule finds in a folder of records, errors first.

    Raises:
        ValueError: a record cannot be read at all.
    """
    labels, rows = read_labels(folder), read_index(folder).to_pylist()
    found = []
    for split in dict.fromkeys(row["split"] for row in rows):
        for example in Records(folder, split):
            for rule, (severity, ask) in EXAMPLE_RULES.items():
                found += [
                    Finding(rule, severity, split, example.id, message)
                    for message in ask(example, labels)
                ]
    for rule, (severity, ask_all) in SET_RULES.items():
        found += [
            Finding(rule, severity, split, name, message)
            for split, name, message in ask_all(rows, labels)
        ]
    return sorted(found, key=lambda finding: finding.severity)


def summary(folder: Path) -> dict[str, Any]:
    """Return what a reader wants to know of each split: examples, groups, class shares."""
    labels, rows = read_labels(folder), read_index(folder).to_pylist()
    splits = {}
    for split in dict.fromkeys(row["split"] for row in rows):
        here = [row for row in rows if row["split"] == split]
        pixels = np.sum([row["pixels"] for row in here], axis=0)
        ignored = sum(row["ignored"] for row in here)
        total = pixels.sum() + ignored
        splits[split] = {
            "examples": len(here),
            "groups": len({name for row in here for name in row["group"]}),
            "ignored_share": float(ignored / total),
            "class_share": dict(zip(labels.classes, (pixels / total).tolist(), strict=True)),
        }
    return splits


def _shared(rows: Rows, keys: Callable[[dict[str, Any]], list[str]]) -> Iterator[tuple[Any, Any]]:
    """Yield pairs of rows of different splits that share a key, each later row once."""
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        others = [first.setdefault(key, row) for key in keys(row)]
        for other in others:
            if other["split"] != row["split"]:
                yield row, other
                break


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[0]}x{pixels.shape[1]}"


def require_valid(verdict: Path, folder: Path) -> str:
    """Return the fingerprint of the records if they are the ones that were proven valid.

    Raises:
        ValueError: they are not, or were changed since.
    """
    content = read_json(verdict)
    now = fingerprint(folder)
    if content != {"records": now, "verdict": "valid"}:
        raise ValueError(
            f"{verdict} does not vouch for {folder}: it says {content}, the records are {now}; "
            "run `dvc repro validate`"
        )
    return now
