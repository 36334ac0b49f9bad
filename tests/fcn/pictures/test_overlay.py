import re

import numpy as np
import pytest
from PIL import Image

from fcn.common.text import file_name
from fcn.pictures import overlay
from fcn.pictures.overlay import (
    IGNORED_COLOUR,
    LINE_HEIGHT,
    MAX_PANEL_SIDE,
    MIN_PANEL_WIDTH,
    PANEL_GAP,
    WRONG_COLOUR,
)
from fcn.records.labels import Labels
from fcn.records.record import DecodedSample
from fcn.records.sample import IGNORE_INDEX

RED, BLUE = (230, 25, 75), (67, 99, 216)
THREE = Labels("three", ("ground", "red", "blue"), ((0, 0, 0), RED, BLUE), 1)
MASK = np.array([[0, 1], [2, IGNORE_INDEX]], np.uint8)


def panel(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 7, np.uint8)


def legend(picture: Image.Image, height: int) -> np.ndarray:
    """The pixels below panels of this height."""
    return np.asarray(picture)[LINE_HEIGHT + height :]


def lines(picture: Image.Image, height: int) -> list[np.ndarray]:
    below = legend(picture, height)
    return np.split(below, len(below) // LINE_HEIGHT)


def holds(pixels: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((pixels == colour).all(axis=-1).any())


def test_a_mask_is_drawn_in_its_classes_colours_and_one_for_ignored_pixels() -> None:
    assert overlay.colourise(MASK, THREE).tolist() == [
        [[0, 0, 0], list(RED)],
        [list(BLUE), list(IGNORED_COLOUR)],
    ]
    assert overlay.colourise(MASK, THREE).dtype == np.uint8


def test_a_grey_image_becomes_rgb_and_rgb_stays() -> None:
    grey = np.array([[[3], [200]]], np.uint8)
    assert overlay.to_rgb(grey).tolist() == [[[3, 3, 3], [200, 200, 200]]]
    colours = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    assert (overlay.to_rgb(colours) == colours).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_blend_is_half_image_half_mask_and_the_image_at_class_0(channels: int) -> None:
    image = np.full((2, 2, channels), 250, np.uint8)
    blended = overlay.blend(image, MASK, THREE)
    assert blended.dtype == np.uint8
    assert blended[0, 0].tolist() == [250] * 3
    for pixel, colour in (((0, 1), RED), ((1, 0), BLUE), ((1, 1), IGNORED_COLOUR)):
        assert blended[pixel].tolist() == [(250 + part) // 2 for part in colour]


@pytest.mark.parametrize(
    ("height", "width", "factor"),
    [
        (64, 84, 3),
        (100, MIN_PANEL_WIDTH - 1, 2),
        (100, MIN_PANEL_WIDTH, 1),
        (300, 500, 1),
        (3, 1, MIN_PANEL_WIDTH),
    ],
)
def test_small_panels_are_enlarged_by_a_whole_factor(height: int, width: int, factor: int) -> None:
    titled = [("input", panel(height, width)), ("truth", panel(height, width))]
    picture = overlay.draw_row(titled, np.array([0]), THREE)
    assert picture.size == (
        2 * width * factor + PANEL_GAP,
        LINE_HEIGHT + height * factor + LINE_HEIGHT,
    )


def test_panels_are_separated_and_their_pixels_do_not_mix() -> None:
    first, second = overlay.colourise(MASK, THREE), panel(2, 2)
    shown = np.asarray(overlay.draw_row([("a", first), ("b", second)], np.array([0]), THREE))
    factor = MIN_PANEL_WIDTH // 2
    body = shown[LINE_HEIGHT : LINE_HEIGHT + 2 * factor]
    assert (body[:, :MIN_PANEL_WIDTH] == first.repeat(factor, axis=0).repeat(factor, axis=1)).all()
    assert (body[:, MIN_PANEL_WIDTH : MIN_PANEL_WIDTH + PANEL_GAP] == 255).all()
    assert (body[:, MIN_PANEL_WIDTH + PANEL_GAP :] == 7).all()


def test_every_panel_has_its_title_above() -> None:
    named = overlay.draw_row([("", panel(9, 300)), ("truth", panel(9, 300))], np.array([0]), THREE)
    above = np.asarray(named)[:LINE_HEIGHT]
    assert (above[:, : 300 + PANEL_GAP] == 255).all()
    assert (above[:, 300 + PANEL_GAP :] != 255).any()


def test_the_legend_shows_the_classes_that_are_present_and_no_others() -> None:
    picture = overlay.draw_row([("mask", panel(9, 300))], np.array([0, 2]), THREE)
    below = legend(picture, 9)
    assert holds(below, (0, 0, 0))
    assert holds(below, BLUE)
    assert not holds(below, RED)
    assert not holds(below, IGNORED_COLOUR)


def test_the_legend_names_ignored_pixels_if_there_are_any() -> None:
    picture = overlay.draw_row([("mask", panel(9, 300))], np.unique(MASK), THREE)
    assert holds(legend(picture, 9), IGNORED_COLOUR)


def test_the_legend_omits_a_value_that_is_no_class() -> None:
    with_it = overlay.draw_row([("mask", panel(9, 300))], np.array([0, 77]), THREE)
    without = overlay.draw_row([("mask", panel(9, 300))], np.array([0]), THREE)
    assert np.array_equal(with_it, without)


def many(count: int, name: str = "a class with a long name") -> Labels:
    colours = tuple((10 + number, 100, 200) for number in range(count))
    return Labels("many", tuple(f"{name} {number}" for number in range(count)), colours, 3)


def test_a_wide_legend_wraps_and_loses_no_class() -> None:
    labels = many(12)
    picture = overlay.draw_row([("mask", panel(9, 400))], np.arange(12), labels)
    assert picture.width == 400
    below = lines(picture, 9)
    assert 4 <= len(below) <= 6
    legend_classes = [{k for k in range(12) if holds(line, labels.colours[k])} for line in below]
    assert all(legend_classes)
    assert sorted(k for line in legend_classes for k in line) == list(range(12))
    # A name that crosses the edge would leave black pixels there.
    assert (legend(picture, 9)[:, -5:] == 255).all()


def test_a_name_wider_than_the_picture_takes_a_whole_line() -> None:
    picture = overlay.draw_row([("mask", panel(9, 260))], np.arange(2), many(2, "long " * 20))
    assert len(lines(picture, 9)) == 2


def test_a_value_that_is_no_class_is_magenta() -> None:
    mask = np.array([[2, 3, 77, 254]], np.uint8)
    assert overlay.colourise(mask, THREE)[0].tolist() == [list(BLUE), *[list(WRONG_COLOUR)] * 3]


@pytest.mark.parametrize(
    ("size", "fitted"),
    [
        ((1, 1), (1, 1)),
        ((MAX_PANEL_SIDE, 7), (MAX_PANEL_SIDE, 7)),
        ((2 * MAX_PANEL_SIDE, 10), (MAX_PANEL_SIDE, 5)),
        ((1, 10 * MAX_PANEL_SIDE), (1, MAX_PANEL_SIDE)),
    ],
)
def test_large_pictures_are_reduced_and_masks_keep_their_values(
    size: tuple[int, int], fitted: tuple[int, int]
) -> None:
    mask = np.random.default_rng(0).choice(np.array([0, 2, IGNORE_INDEX], np.uint8), size)
    small = overlay.reduce_to_fit(mask)
    assert small.shape == fitted
    assert set(np.unique(small)) <= set(np.unique(mask))
    assert overlay.reduce_to_fit(np.zeros((*size, 3), np.uint8)).shape == (*fitted, 3)
    assert overlay.reduce_to_fit(np.zeros((*size, 1), np.uint8)).shape == (*fitted, 1)


def test_an_image_takes_the_size_of_its_mask() -> None:
    assert overlay.reduce_to_fit(panel(9, 20), (4, 5)).shape == (4, 5, 3)


@pytest.mark.parametrize("size", [(1, 1), (20, 30), (4000, 3)])
def test_no_wrong_pixel_is_lost_when_a_picture_is_reduced(size: tuple[int, int]) -> None:
    for row, column in ((0, 0), (size[0] - 1, size[1] - 1), (size[0] // 2, size[1] // 3)):
        wrong = np.zeros(size, bool)
        wrong[row, column] = True
        small = overlay.reduce_to_fit(np.zeros((*size, 3), np.uint8))
        shown = overlay.mark_wrong(small, wrong)
        assert holds(shown, WRONG_COLOUR)
        assert (small == 0).all()


def test_single_wrong_pixels_are_boxed_and_large_areas_are_not() -> None:
    single, area = np.zeros((200, 300), bool), np.zeros((200, 300), bool)
    single[100, 150] = True
    area[:, :200] = True
    boxed = (overlay.mark_wrong(panel(200, 300), single) == WRONG_COLOUR).all(axis=-1)
    rows, columns = np.nonzero(boxed)
    assert 6 < rows.max() - rows.min() < 30
    assert 6 < columns.max() - columns.min() < 30
    assert ((overlay.mark_wrong(panel(200, 300), area) == WRONG_COLOUR).all(axis=-1) == area).all()


@pytest.mark.parametrize("name", ["a", "0001TP_006690", "2007-000032.x"])
def test_a_plain_id_is_its_file_name(name: str) -> None:
    assert file_name(name) == name


def test_other_ids_have_short_plain_distinct_file_names() -> None:
    strange = ["a/b", "a_b", "a\\b", "../../b", "ü", "日本", "x" * 300, "x" * 301, "a b"]
    names = [file_name(name) for name in strange]
    assert len(set(names)) == len(strange)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name)
        assert name not in (".", "..")


def test_a_caption_takes_as_many_lines_below_the_legend_as_it_needs() -> None:
    titled, present = [("mask", panel(9, 260))], np.array([0])
    plain = overlay.draw_row(titled, present, THREE)
    short = overlay.draw_row(titled, present, THREE, ["one", "two"])
    long = overlay.draw_row(titled, present, THREE, ["word " * 40])
    assert short.height == plain.height + 2 * LINE_HEIGHT
    assert long.height > plain.height + 3 * LINE_HEIGHT
    assert short.width == long.width == 260
    assert np.array_equal(np.asarray(short)[: plain.height], np.asarray(plain))
    assert (np.asarray(short)[plain.height :] != 255).any()


def test_a_title_does_not_run_into_the_next_panel() -> None:
    titled = [("x" * 300, panel(9, 300)), ("", panel(9, 300))]
    above = np.asarray(overlay.draw_row(titled, np.array([0]), THREE))[:LINE_HEIGHT]
    assert (above[:, 300:] == 255).all()


def test_a_narrow_tall_picture_is_not_enlarged_beyond_the_longest_side() -> None:
    picture = overlay.draw_row([("mask", panel(MAX_PANEL_SIDE, 1))], np.array([0]), THREE)
    assert picture.size == (MIN_PANEL_WIDTH, LINE_HEIGHT + MAX_PANEL_SIDE + LINE_HEIGHT)


def test_only_pixels_where_truth_and_prediction_differ_are_magenta() -> None:
    image = np.full((2, MIN_PANEL_WIDTH // 2, 1), 90, np.uint8)
    truth = np.tile(MASK[:, [0, 1]], MIN_PANEL_WIDTH // 4)
    prediction = np.zeros_like(truth)  # right at 0, wrong at 1 and 2, not counted where ignored
    example = DecodedSample("one", image, truth)
    shown = np.asarray(overlay.draw_comparison(example, prediction, THREE))
    last = shown[LINE_HEIGHT : LINE_HEIGHT + 4, -MIN_PANEL_WIDTH:]
    wrong = (truth != prediction) & (truth != IGNORE_INDEX)
    large = wrong.repeat(2, axis=0).repeat(2, axis=1)
    assert ((last == WRONG_COLOUR).all(axis=-1) == large).all()
    assert (last[~large] == 30).all()
