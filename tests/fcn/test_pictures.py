import numpy as np
import pytest
from PIL import Image

from fcn import pictures
from fcn.dataset import IGNORE
from fcn.pictures import GAP, IGNORED, LINE, PANEL
from fcn.records import Labels

RED, BLUE = (230, 25, 75), (67, 99, 216)
THREE = Labels("three", ("ground", "red", "blue"), ((0, 0, 0), RED, BLUE), 1)
MASK = np.array([[0, 1], [2, IGNORE]], np.uint8)


def panel(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 7, np.uint8)


def legend(picture: Image.Image, height: int) -> np.ndarray:
    """What stands below panels of this height."""
    return np.asarray(picture)[LINE + height :]


def lines(picture: Image.Image, height: int) -> list[np.ndarray]:
    below = legend(picture, height)
    return np.split(below, len(below) // LINE)


def holds(pixels: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((pixels == colour).all(axis=-1).any())


def test_a_mask_has_its_classes_colours_and_one_for_ignored() -> None:
    assert pictures.colour(MASK, THREE).tolist() == [
        [[0, 0, 0], list(RED)],
        [list(BLUE), list(IGNORED)],
    ]
    assert pictures.colour(MASK, THREE).dtype == np.uint8


def test_a_grey_image_becomes_rgb_and_rgb_stays() -> None:
    grey = np.array([[[3], [200]]], np.uint8)
    assert pictures.rgb(grey).tolist() == [[[3, 3, 3], [200, 200, 200]]]
    colours = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    assert (pictures.rgb(colours) == colours).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_blend_is_half_image_half_mask_and_the_image_at_class_0(channels: int) -> None:
    image = np.full((2, 2, channels), 250, np.uint8)
    blended = pictures.blend(image, MASK, THREE)
    assert blended.dtype == np.uint8
    assert blended[0, 0].tolist() == [250] * 3
    for place, colour in (((0, 1), RED), ((1, 0), BLUE), ((1, 1), IGNORED)):
        assert blended[place].tolist() == [(250 + part) // 2 for part in colour]


@pytest.mark.parametrize(
    ("height", "width", "factor"),
    [(64, 84, 3), (100, PANEL - 1, 2), (100, PANEL, 1), (300, 500, 1), (3, 1, PANEL)],
)
def test_small_panels_are_enlarged_by_a_whole_factor(height: int, width: int, factor: int) -> None:
    titled = [("input", panel(height, width)), ("truth", panel(height, width))]
    picture = pictures.row(titled, np.array([0]), THREE)
    assert picture.size == (2 * width * factor + GAP, LINE + height * factor + LINE)


def test_panels_stand_apart_and_their_pixels_do_not_mix() -> None:
    first, second = pictures.colour(MASK, THREE), panel(2, 2)
    shown = np.asarray(pictures.row([("a", first), ("b", second)], np.array([0]), THREE))
    factor = PANEL // 2
    body = shown[LINE : LINE + 2 * factor]
    assert (body[:, :PANEL] == first.repeat(factor, axis=0).repeat(factor, axis=1)).all()
    assert (body[:, PANEL : PANEL + GAP] == 255).all()
    assert (body[:, PANEL + GAP :] == 7).all()


def test_every_panel_has_its_title_above() -> None:
    named = pictures.row([("", panel(9, 300)), ("truth", panel(9, 300))], np.array([0]), THREE)
    above = np.asarray(named)[:LINE]
    assert (above[:, : 300 + GAP] == 255).all()
    assert (above[:, 300 + GAP :] != 255).any()


def test_the_legend_shows_the_classes_that_are_there_and_no_other() -> None:
    picture = pictures.row([("mask", panel(9, 300))], np.array([0, 2]), THREE)
    below = legend(picture, 9)
    assert holds(below, (0, 0, 0))
    assert holds(below, BLUE)
    assert not holds(below, RED)
    assert not holds(below, IGNORED)


def test_ignored_pixels_are_in_the_legend_when_there_are_some() -> None:
    picture = pictures.row([("mask", panel(9, 300))], np.unique(MASK), THREE)
    assert holds(legend(picture, 9), IGNORED)


def test_a_value_that_is_no_class_does_not_stop_the_picture() -> None:
    with_it = pictures.row([("mask", panel(9, 300))], np.array([0, 77]), THREE)
    without = pictures.row([("mask", panel(9, 300))], np.array([0]), THREE)
    assert np.array_equal(with_it, without)


def many(count: int, name: str = "a class with a long name") -> Labels:
    colours = tuple((10 + number, 100, 200) for number in range(count))
    return Labels("many", tuple(f"{name} {number}" for number in range(count)), colours, 3)


def test_a_wide_legend_wraps_and_loses_no_class() -> None:
    labels = many(12)
    picture = pictures.row([("mask", panel(9, 400))], np.arange(12), labels)
    assert picture.width == 400
    below = lines(picture, 9)
    assert 4 <= len(below) <= 6
    shown = [{k for k in range(12) if holds(line, labels.colours[k])} for line in below]
    assert all(shown)
    assert sorted(k for line in shown for k in line) == list(range(12))
    # A name that went over the edge would blacken it.
    assert (legend(picture, 9)[:, -5:] == 255).all()


def test_a_name_wider_than_the_picture_has_a_line_of_its_own() -> None:
    picture = pictures.row([("mask", panel(9, 260))], np.arange(2), many(2, "long " * 20))
    assert len(lines(picture, 9)) == 2
