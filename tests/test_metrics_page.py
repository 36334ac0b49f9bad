"""docs/metrics.md says what the code computes: its numbers come from its own pictures."""

import re
from pathlib import Path

import numpy as np
import pytest

from fcn.records.sample import IGNORE_INDEX
from fcn.scores import averaging, boundaries, calibration, counting
from fcn.scores.averaging import CONVENTIONS, THRESHOLD
from fcn.scores.metrics import SCORES
from fcn.scores.per_image import ARRAYS, PerImageCounts, stack
from fcn.scores.summary import summarise
from tests.index_rows import index_row

PAGE = (Path(__file__).parents[1] / "docs/metrics.md").read_text("utf-8")
CLASSES = 5


@pytest.fixture(scope="module")
def images() -> PerImageCounts:
    """The five images drawn on the page, of a network that is sure of every pixel."""
    pictures = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)[0].strip().split("\n\n")
    counted = []
    for picture in pictures:
        sides = [line.replace(".", "9").split() for line in picture.splitlines()]
        truth, mask = np.array(
            [[list(row) for row in side] for side in zip(*sides, strict=True)]
        ).astype(np.uint8)
        truth[truth == 9] = IGNORE_INDEX
        sure = np.ones(mask.shape, np.float32)
        thresholded = mask[..., None] == np.arange(1, CLASSES)
        counted.append(counting.count_image(truth, mask, sure, thresholded, CLASSES))
    return stack([index_row("val", str(number)) for number in range(len(counted))], counted)


def between(name: str) -> list[str]:
    found = re.search(rf"<!-- {name}: [^\n]* -->\n(.*?)<!-- end of {name} -->", PAGE, re.DOTALL)
    assert found
    return found.group(1).splitlines()


def test_the_page_has_every_convention_with_its_computed_number(
    images: PerImageCounts,
) -> None:
    rows = [
        "| convention | an absent class | added up | void | mean IoU | used by |",
        "| --- | --- | --- | --- | ---: | --- |",
    ]
    for name, value in averaging.mean_iou_by_convention(images.confusion, images.ignored).items():
        convention = CONVENTIONS[name]
        added = {None: "all images", 1: "each image"}.get(
            convention.batch, f"{convention.batch} images"
        )
        number = "NaN" if np.isnan(value) else f"{100 * value:.2f}"
        cells = name, convention.absent, added, convention.void, number, convention.used_by
        rows.append(f"| {' | '.join(cells)} |")
    assert between("conventions") == rows


def test_the_page_has_the_other_aggregates(images: PerImageCounts) -> None:
    numbers = {
        "pixel accuracy, void left out": averaging.pixel_accuracy(images.confusion, images.ignored),
        "pixel accuracy, void as background (Apiquet/Segmentation)": averaging.pixel_accuracy(
            images.confusion, images.ignored, CONVENTIONS["void as background"]
        ),
        f"foreground IoU of every softmax above {THRESHOLD}, per batch of 4 (farhanhubble/"
        "udacity-connect), of a network that is sure of every pixel": averaging.thresholded_iou(
            images.thresholded
        ),
    }
    rows = ["| what | value |", "| --- | ---: |"]
    assert between("others") == rows + [f"| {n} | {100 * v:.2f} |" for n, v in numbers.items()]


def test_all_conventions_differ_on_the_page(images: PerImageCounts) -> None:
    values = averaging.mean_iou_by_convention(images.confusion, images.ignored).values()
    assert len({round(value, 4) for value in values}) == len(CONVENTIONS)


def test_the_page_names_every_measure_and_every_column(images: PerImageCounts) -> None:
    films = PerImageCounts(images.ids, [("one",)] * 5, *(getattr(images, name) for name in ARRAYS))
    measures = {*summarise(films, [str(number) for number in range(CLASSES)])}
    assert measures >= {*SCORES}
    assert [name for name in sorted(measures | {*ARRAYS}) if f"`{name}`" not in PAGE] == []
    widths = ", ".join(str(width) for width in boundaries.WIDTHS)
    assert f"within {widths} px" in PAGE
    assert f"{len(boundaries.WIDTHS)}·3·K" in PAGE
    assert f"3·{calibration.BINS}" in PAGE


def test_the_code_on_the_page_runs(
    tmp_path: Path,
    images: PerImageCounts,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fcn.scores import per_image

    code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    monkeypatch.chdir(tmp_path)
    path = re.findall(r'Path\("(.*?)"\)', code)[0]
    (tmp_path / path).parent.mkdir(parents=True)
    per_image.write(tmp_path / path, images)
    exec(code, {})
    assert "berkeley" in capsys.readouterr().out
