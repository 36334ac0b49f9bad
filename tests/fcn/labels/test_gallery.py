from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.conversion import shards
from fcn.datasets.shared import catalogue
from fcn.labels import check, gallery
from fcn.labels.findings import CheckedRecords, Finding
from fcn.pictures.overlay import LINE_HEIGHT, MIN_PANEL_WIDTH, WRONG_COLOUR
from fcn.records.labels import Labels
from fcn.records.sample import IGNORE_INDEX, Note, Sample

DIGITS = catalogue.load("digits")
TWO = Labels("two", ("ground", "thing"), ((10, 20, 30), (200, 40, 50)), 1)


def holds(picture: Image.Image | Path, colour: tuple[int, int, int]) -> bool:
    opened = Image.open(picture) if isinstance(picture, Path) else picture
    return bool((np.asarray(opened) == colour).all(axis=-1).any())


def finding(rule: str, example: str, pixels: int = 0, severity: str = "error") -> Finding:
    assert severity in ("error", "warning")
    return Finding(rule, "error" if severity == "error" else "warning", "s", example, "", pixels)


def chosen(findings: list[Finding], count: int) -> list[tuple[str, str]]:
    return [(first.rule, first.example) for first, *_ in gallery.offenders(findings, count)]


def test_errors_come_first_and_every_rule_has_its_turn_worst_first() -> None:
    found = [
        finding("odd", "w", 9, "warning"),
        *(finding("values", name, pixels) for name, pixels in (("a", 1), ("b", 7), ("c", 3))),
        finding("size", "d", 2),
    ]
    order = [("values", "b"), ("size", "d"), ("values", "c"), ("values", "a"), ("odd", "w")]
    assert chosen(found, 9) == order
    assert chosen(found, 2) == order[:2]
    assert chosen(found, 0) == []


def test_an_example_is_shown_once_with_all_its_findings() -> None:
    found = [finding("values", "a", 1), finding("size", "a"), finding("size", "b")]
    shown = gallery.offenders(found, 9)
    assert [[(f.rule, f.example) for f in said] for said in shown] == [
        [("values", "a"), ("size", "a")],
        [("size", "b")],
    ]


def test_a_likeness_has_a_picture_of_its_own() -> None:
    like = replace(finding("near_image", "a"), other=("t", "b"))
    found = [like, finding("values", "a", 1)]
    assert chosen(found, 9) == [("near_image", "a"), ("values", "a")]


def test_findings_on_the_split_as_a_whole_have_no_picture() -> None:
    assert chosen([finding("class_never_seen", "")], 9) == []


def write(folder: Path, **splits: list[Sample]) -> tuple[Path, CheckedRecords]:
    folder.mkdir()
    shards.write(folder, DIGITS, splits, 1)
    return folder, check.check(folder, {}, severity={}, near=4, worker_count=1)


def sample(name: str, mask: np.ndarray, seed: int = 0) -> Sample:
    image = np.random.default_rng(seed).integers(0, 256, mask.shape, np.uint8)
    return Sample(name, image, mask, (name,))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


def test_sound_records_give_examples_spread_over_each_split_and_shares(
    tmp_path: Path, out: Path
) -> None:
    mask = np.arange(30, dtype=np.uint8).reshape(5, 6) % 11
    train = [sample(f"t{n}", mask, n) for n in range(7)]
    gallery.draw(*write(tmp_path / "r", train=train, test=[sample("a/é", mask, 99)]), 3, out)
    (other,) = (out / "examples/test").iterdir()
    assert files(out) == [
        "class_share.png",
        f"examples/test/{other.name}",
        *(f"examples/train/t{n}.png" for n in (0, 3, 6)),
    ]
    assert not holds(out / "class_share.png", WRONG_COLOUR)
    assert not any(holds(path, WRONG_COLOUR) for path in (out / "examples").rglob("*.png"))


def test_offenders_show_the_wrong_pixels_and_what_they_are_like(tmp_path: Path, out: Path) -> None:
    sound = np.arange(2000, dtype=np.uint8).reshape(40, 50) % 11
    strange, void = sound.copy(), sound.copy()
    strange[20, 30] = 77
    void[:, 5] = IGNORE_INDEX
    note = (Note("unknown_colours", "v.png: 40 pixels of 3 colours ((1, 2, 3) ×40)"),)
    folder, checked = write(
        tmp_path / "r",
        train=[sample("a", sound, 1), sample("strange", strange, 2)],
        test=[replace(sample("void", void, 3), notes=note), sample("copy", sound, 1)],
    )
    gallery.draw(folder, checked, 9, out)
    shown = sorted((out / "offenders").iterdir())
    assert [path.name for path in shown] == [
        "00-values-strange.png",
        "01-unknown_colours-void.png",
        "02-same_image-copy.png",
    ]
    assert [holds(path, WRONG_COLOUR) for path in shown] == [True, True, False]
    side_by_side = np.asarray(Image.open(shown[2]))
    assert (
        side_by_side[LINE_HEIGHT : LINE_HEIGHT + 200, :300]
        == side_by_side[LINE_HEIGHT : LINE_HEIGHT + 200, 304:604]
    ).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (2500, 2)])
def test_pictures_of_every_size_stay_of_a_size_to_look_at(
    size: tuple[int, int], tmp_path: Path, out: Path
) -> None:
    mask = np.full(size, 3, np.uint8)
    mask[0, 0] = 99
    folder, checked = write(tmp_path / "r", train=[sample("one", mask)])
    gallery.draw(folder, checked, 1, out)
    with Image.open(out / "offenders/00-values-one.png") as picture:
        assert MIN_PANEL_WIDTH <= picture.width <= 3100
        assert picture.height <= 1200


def test_image_and_mask_of_different_sizes_are_shown_side_by_side(
    tmp_path: Path, out: Path
) -> None:
    broken = replace(sample("one", np.ones((6, 9), np.uint8)), image=np.zeros((30, 20), np.uint8))
    gallery.draw(*write(tmp_path / "r", train=[broken]), 1, out)
    assert (out / "offenders/00-size-one.png").exists()


def test_shares_have_a_line_for_each_class_and_mark_what_is_never_seen() -> None:
    def split(thing: float) -> dict[str, object]:
        share = {"ground": 1 - thing, "thing": thing}
        return {"examples": 3, "ignored_share": 0.1, "class_share": share}

    both = gallery.shares({"train": split(0.25), "test": split(0.5)}, TWO)
    assert both.height == (1 + 3) * LINE_HEIGHT + LINE_HEIGHT
    assert not holds(both, WRONG_COLOUR)
    assert holds(gallery.shares({"train": split(0.25), "test": split(0)}, TWO), WRONG_COLOUR)
    line = np.asarray(both)[2 * LINE_HEIGHT + 7]  # through the bars of `thing`
    bars = (line == TWO.colours[1]).all(axis=-1)
    half = len(bars) // 2 + 30
    assert bars[half:].sum() > 1.5 * bars[20:half].sum()
