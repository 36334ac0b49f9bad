"""The pictures of a label report: examples, the worst findings, and the classes' shares.

They help to find a wrong label: image and mask side by side and blended, wrong pixels in magenta
boxes, the findings written below.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fcn.common.text import file_name
from fcn.labels.findings import CheckedRecords, Finding
from fcn.labels.rules import no_class, no_row
from fcn.pictures.overlay import (
    IGNORED_COLOUR,
    LINE_HEIGHT,
    WRONG_COLOUR,
    blend,
    colourise,
    draw_row,
    mark_wrong,
    reduce_to_fit,
    to_rgb,
)
from fcn.records.labels import Labels
from fcn.records.record import DecodedSample
from fcn.records.sample import IGNORE_INDEX
from fcn.records.split import Records

EXAMPLES, OFFENDERS, SHARES = "examples", "offenders", "class_share.png"
BAR = 160
"""Width of the longest bar in pixels."""
CAPTION_LINES = 6
"""Findings written below a picture."""
QUICK: dict[str, Any] = {"compress_level": 1}
"""A third of the usual time for a tenth more bytes."""


def draw(folder: Path, checked: CheckedRecords, count: int, out: Path) -> None:
    """Write the pictures of the records in `folder` into the folder `out`, which exists.

    Args:
        folder: the records.
        checked: the findings.
        count: examples per split, and offenders in all.
        out: gets `examples/SPLIT/ID.png`, `offenders/NUMBER-RULE-ID.png`, `class_share.png`.
    """
    splits = list(dict.fromkeys(row.split for row in checked.rows))
    sources = {split: Records(folder, split) for split in splits}
    for split, source in sources.items():
        examples = out / EXAMPLES / file_name(split)
        examples.mkdir(parents=True)
        for number in np.linspace(0, len(source) - 1, min(count, len(source)), dtype=int):
            example = source[int(number)]
            name = f"{file_name(example.id)}.png"
            picture(example, (), source.labels).save(examples / name, **QUICK)
    worst = offenders(checked.findings, count)
    if worst:
        (out / OFFENDERS).mkdir()
    for number, findings in enumerate(worst):
        name = f"{number:02}-{findings[0].rule}-{file_name(findings[0].example)}.png"
        offender(sources, findings).save(out / OFFENDERS / name, **QUICK)
    shares(checked.content()["splits"], checked.labels).save(out / SHARES, **QUICK)


def offenders(findings: Sequence[Finding], count: int) -> list[list[Finding]]:
    """Return the findings of the `count` worst examples, the reason for the choice first.

    Errors come before warnings. Each rule contributes its worst example (most wrong pixels), then
    each its second worst, and so on.
    """
    by_example: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        by_example[finding.split, finding.example].append(finding)
    chosen: dict[tuple[str, str, bool], Finding] = {}  # similarity is drawn separately
    for severity in ("error", "warning"):
        by_rule: dict[str, list[Finding]] = defaultdict(list)
        for finding in findings:
            if finding.example and finding.severity == severity:
                by_rule[finding.rule].append(finding)
        worst = (sorted(of, key=lambda f: -f.pixels) for of in by_rule.values())
        for finding in chain.from_iterable(zip_longest(*worst)):
            if finding is not None:
                similarity = finding.other is not None
                chosen.setdefault((finding.split, finding.example, similarity), finding)
    return [
        [first, *(f for f in by_example[first.split, first.example] if f is not first)]
        for first in list(chosen.values())[:count]
    ]


def offender(sources: Mapping[str, Records], findings: Sequence[Finding]) -> Image.Image:
    """Return the picture of an example with its findings.

    If the first is about similarity, the similar example is drawn beside it.
    """
    first = findings[0]
    source = sources[first.split]
    example = _find(source, first.example)
    if first.other is None:
        return picture(example, findings, source.labels)
    split, name = first.other
    image = to_rgb(reduce_to_fit(example.image))
    other = to_rgb(reduce_to_fit(_find(sources[split], name).image, image.shape))
    panels = [(f"{first.split} {first.example}", image), (f"{split} {name}", other)]
    return draw_row(panels, np.array([], int), source.labels, _caption(findings))


def picture(example: DecodedSample, findings: Sequence[Finding], labels: Labels) -> Image.Image:
    """Return image, mask and both blended, wrong pixels in boxes, findings below."""
    mask = reduce_to_fit(example.label)
    image = to_rgb(reduce_to_fit(example.image, mask.shape))
    panels = [
        (example.id, image),
        ("mask", colourise(mask, labels)),
        ("blended", blend(image, mask, labels)),
    ]
    wrong = _wrong(example, {finding.rule for finding in findings}, len(labels.classes))
    if wrong.any():
        panels[1:] = [(name, mark_wrong(pixels, wrong)) for name, pixels in panels[1:]]
    return draw_row(panels, np.unique(example.label), labels, _caption(findings))


def _caption(findings: Sequence[Finding]) -> list[str]:
    lines = [f"{finding.severity} {finding.rule}: {finding.message}" for finding in findings]
    lines = [line.replace("×", "x") for line in lines]  # the font has no ×
    return lines[:CAPTION_LINES] + (
        [f"and {len(findings) - CAPTION_LINES} more"] if len(findings) > CAPTION_LINES else []
    )


def _wrong(example: DecodedSample, rules: set[str], classes: int) -> np.ndarray:
    """Return where pixels are wrong, bool H W."""
    wrong = [np.zeros(example.label.shape, bool), no_class(example.label, classes)]
    if example.one_hot is not None:
        wrong.append(no_row(example.one_hot))
    if "unknown_colours" in rules:
        wrong.append(example.label == IGNORE_INDEX)  # the converted unknown colours
    return np.logical_or.reduce([where for where in wrong if where is not None])


def _find(source: Records, name: str) -> DecodedSample:
    return source[next(n for n, row in enumerate(source.rows) if row.id == name)]


def shares(splits: Mapping[str, Any], labels: Labels) -> Image.Image:
    """Return a row for each class: its name, and a bar and a percentage for each split."""
    font = ImageFont.load_default(size=12)
    names = [*labels.classes, "ignored"]
    left = 24 + max(round(font.getlength(name)) for name in names)
    step = BAR + 64
    columns = [[*of["class_share"].values(), of["ignored_share"]] for of in splits.values()]
    most = max(map(max, columns))
    picture = Image.new("RGB", (left + step * len(splits), LINE_HEIGHT * (len(names) + 2)), "white")
    pen = ImageDraw.Draw(picture)
    for number, (split, of) in enumerate(splits.items()):
        pen.text((left + number * step, 1), f"{split} ({of['examples']})", "black", font)
    for line, name in enumerate(names):
        top = LINE_HEIGHT * (line + 1)
        swatch = labels.colours[line] if line < len(labels.classes) else IGNORED_COLOUR
        pen.rectangle((2, top + 3, 11, top + 12), swatch, "black")
        pen.text((16, top + 1), name, "black", font)
        for number, column in enumerate(columns):
            share, start = column[line], left + number * step
            pen.rectangle((start, top + 3, start + BAR, top + 12), (240, 240, 240))
            if share:
                end = start + share / most * BAR
                pen.rectangle((start, top + 3, end, top + 12), swatch, "black")
            never = not share and line < len(labels.classes)
            said, ink = ("never", WRONG_COLOUR) if never else (f"{share:.2%}", "black")
            pen.text((start + BAR + 6, top + 1), said, ink, font)
    return picture
