import io
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from fcn.datasets.shared import masks
from fcn.records.sample import IGNORE_INDEX
from tests import fabricated

MASK = fabricated.indices(1, [0, 1, 2, IGNORE_INDEX])
RED, GREEN = (255, 0, 0), (0, 255, 0)


def encoded(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("palette", [False, True], ids=["grey", "palette"])
def test_indices_are_the_files_numbers_not_its_colours(tmp_path: Path, palette: bool) -> None:
    mask, notes = masks.index(fabricated.save(tmp_path / "a.png", MASK, palette=palette))
    assert np.array_equal(mask, MASK)
    assert mask.dtype == np.uint8
    assert notes == ()


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("palette", [False, True], ids=["grey", "palette"])
def test_masks_of_few_bits_keep_their_numbers(tmp_path: Path, bits: int, palette: bool) -> None:
    values = fabricated.indices(3, 2**bits)
    path = tmp_path / "a.png"
    if palette:
        fabricated.save(path, values, palette=True, bits=bits)
    else:
        path.write_bytes(fabricated.grey_png(values, bits))
    assert np.array_equal(masks.index(path)[0], values)


def test_another_number_for_ignored_becomes_ours(tmp_path: Path) -> None:
    path = fabricated.save(tmp_path / "a.png", np.array([[0, 11, 10]], np.uint8))
    assert masks.index(path, ignore=11)[0].tolist() == [[0, IGNORE_INDEX, 10]]


@pytest.mark.parametrize("ignore", [None, 11])
def test_255_is_refused_unless_it_is_ignored(tmp_path: Path, ignore: int | None) -> None:
    path = fabricated.save(tmp_path / "mask.png", np.array([[0, 0], [0, 255]], np.uint8))
    with pytest.raises(ValueError, match=r"mask\.png: 255 at row 1, column 1.*`ignore: 255`"):
        masks.index(path, ignore)


def test_rgb_with_equal_channels_is_read_as_grey_and_noted(tmp_path: Path) -> None:
    path = fabricated.save(tmp_path / "mask.png", np.repeat(MASK[..., None], 3, axis=-1))
    mask, notes = masks.index(path)
    assert np.array_equal(mask, MASK)
    assert [note.rule for note in notes] == ["rgb_mask"]
    assert "mask.png" in notes[0].message


def test_colours_where_indices_are_meant_are_refused_with_the_first_pixel(tmp_path: Path) -> None:
    pixels = np.zeros((4, 5, 3), np.uint8)
    pixels[2, 3] = (1, 2, 1)
    path = fabricated.save(tmp_path / "mask.png", pixels)
    with pytest.raises(ValueError, match=r"mask\.png: .*\(1, 2, 1\) at row 2, column 3; allowed"):
        masks.index(path)


def test_colours_become_classes(tmp_path: Path) -> None:
    pixels = np.array([[RED, GREEN, (0, 0, 0)]], np.uint8)
    mask, notes = masks.colours(
        fabricated.save(tmp_path / "a.png", pixels), {RED: 0, GREEN: 1, (0, 0, 0): IGNORE_INDEX}
    )
    assert mask.tolist() == [[0, 1, IGNORE_INDEX]]
    assert notes == ()


def test_a_palettes_colours_count_where_colours_are_meant(tmp_path: Path) -> None:
    path = fabricated.save(tmp_path / "a.png", np.array([[0, 1]], np.uint8), palette=True)
    assert masks.colours(path, {(0, 0, 0): 5, (128, 0, 0): 6})[0].tolist() == [[5, 6]]


def test_unknown_colours_are_ignored_counted_and_shown(tmp_path: Path) -> None:
    pixels = np.full((4, 6, 3), RED, np.uint8)
    pixels[1, 2:] = (200, 55, 0)
    pixels[2, :2] = (100, 155, 0)
    pixels[3, :3] = [(1, 1, 1), (2, 2, 2), (3, 3, 3)]
    path = fabricated.save(tmp_path / "blurred.png", pixels)
    mask, (note,) = masks.colours(path, {RED: 0, GREEN: 1})
    assert (mask == IGNORE_INDEX).sum() == 9
    assert note.rule == "unknown_colours"
    for part in ("blurred.png", "9 pixels of 5 colours", "(200, 55, 0) ×4", "(100, 155, 0) ×2"):
        assert part in note.message
    assert "the first at row 1, column 2" in note.message
    assert note.message.count("×") == 3
    assert "nearest" in note.message


def test_all_other_colours_can_be_one_class(tmp_path: Path) -> None:
    path = fabricated.save(tmp_path / "a.png", np.array([[RED, (9, 9, 9)]], np.uint8))
    mask, notes = masks.colours(path, {RED: 0}, other=1)
    assert mask.tolist() == [[0, 1]]
    assert notes == ()


@hypothesis_settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_colours_are_looked_up_as_pixel_by_pixel(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    table = {tuple(colour): n for n, colour in enumerate(rng.integers(0, 256, (4, 3)).tolist())}
    shown = np.array([*table, (1, 2, 3)], np.uint8)[rng.integers(0, len(table) + 1, (5, 7))]
    path = fabricated.save(tmp_path_factory.mktemp("m") / "a.png", shown)
    expected = [
        [table.get(tuple(colour), IGNORE_INDEX) for colour in row] for row in shown.tolist()
    ]
    assert masks.colours(path, table)[0].tolist() == expected


READERS = {"index": masks.index, "colours": lambda path: masks.colours(path, {RED: 0})}
WRONG = {
    "16 bits grey": (np.zeros((2, 2), np.uint16), "png", "16 bits"),
    "float": (np.zeros((2, 2), np.float32), "tiff", "a TIFF of mode F"),
    "lossy": (np.zeros((2, 2), np.uint8), "jpeg", "a JPEG of mode L"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("case", WRONG)
def test_masks_of_other_kinds_are_refused_by_name(tmp_path: Path, reader: str, case: str) -> None:
    pixels, ending, reason = WRONG[case]
    path = fabricated.save(tmp_path / f"mask.{ending}", pixels)
    with pytest.raises(ValueError, match=rf"mask\.{ending}: .*{reason}.*allowed.*8-bit PNG"):
        READERS[reader](path)


@pytest.mark.parametrize("reader", READERS)
def test_16_bit_colours_are_refused(tmp_path: Path, reader: str) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "mask.png"), np.full((2, 2, 3), 300, np.uint16))
    with pytest.raises(ValueError, match=r"mask\.png: a mask of 16 bits"):
        READERS[reader](tmp_path / "mask.png")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("content", [b"", b"no picture"], ids=["zero bytes", "text"])
def test_what_is_no_picture_is_refused_with_its_length(
    tmp_path: Path, reader: str, content: bytes
) -> None:
    (tmp_path / "mask.png").write_bytes(content)
    with pytest.raises(ValueError, match=rf"mask\.png: {len(content)} bytes that are no picture"):
        READERS[reader](tmp_path / "mask.png")


@pytest.mark.parametrize("reader", READERS)
def test_opaque_alpha_is_dropped_and_transparent_pixels_are_refused(
    tmp_path: Path, reader: str
) -> None:
    pixels = np.full((3, 4, 4), 255, np.uint8)
    pixels[..., :3] = 0
    READERS[reader](fabricated.save(tmp_path / "opaque.png", pixels))
    pixels[1, 2, 3] = 254
    with pytest.raises(ValueError, match=r"clear\.png: transparent at row 1, column 2"):
        READERS[reader](fabricated.save(tmp_path / "clear.png", pixels))


@hypothesis_settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_damaged_mask_is_read_or_refused_by_name_never_worse(
    tmp_path: Path, data: st.DataObject
) -> None:
    whole = encoded(MASK)
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))])
    for content in (cut, flipped + whole[place + 1 :]):
        (tmp_path / "mask.png").write_bytes(content)
        assert "mask.png" in (refusal(tmp_path / "mask.png") or "mask.png")


def refusal(path: Path) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's on odd chunks
        try:
            masks.index(path)
        except ValueError as error:
            return str(error)
    return None


@pytest.mark.parametrize("side", [1, 10_000])
def test_masks_of_one_pixel_and_of_a_hundred_million(tmp_path: Path, side: int) -> None:
    path = fabricated.save(tmp_path / "a.png", np.full((side, side), 3, np.uint8))
    mask, _ = masks.index(path)
    assert mask.shape == (side, side)
    assert (mask == 3).all()


def test_large_masks_of_colours_are_read_strip_by_strip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masks, "STRIP", 20)  # of 9 pixels a row: three rows at once
    shown = np.array([RED, GREEN, (1, 2, 3)], np.uint8)[fabricated.indices(5, 3)]
    path = fabricated.save(tmp_path / "a.png", shown)
    mask, (note,) = masks.colours(path, {RED: 0, GREEN: 1})
    assert np.array_equal(mask, np.where(shown[..., 0] == 1, IGNORE_INDEX, shown[..., 1] // 255))
    assert f"{(mask == IGNORE_INDEX).sum()} pixels of 1 colours" in note.message


def test_images_pass_through_untouched(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(fabricated.jpeg(1) + b"a camera's remark")
    assert masks.image(path) == path.read_bytes()


@pytest.mark.parametrize("ending", ["tiff", "bmp", "webp", "gif"])
def test_images_of_other_formats_are_refused_by_name(tmp_path: Path, ending: str) -> None:
    path = fabricated.save(tmp_path / f"a.{ending}", fabricated.noise(1))
    with pytest.raises(ValueError, match=rf"a\.{ending}: a {ending.upper()}.*allowed: JPEG, PNG"):
        masks.image(path)


@pytest.mark.parametrize("content", [b"", b"text"])
def test_images_that_are_none_are_refused_with_their_length(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.jpg: {len(content)} bytes that are no picture"):
        masks.image(tmp_path / "a.jpg")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_image_that_was_cut_short_is_refused(tmp_path: Path, kind: str) -> None:
    path = fabricated.save(tmp_path / "a", fabricated.noise(1, 60, 60), format=kind)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="without an end marker; the file was cut short"):
        masks.image(path)


def test_samples_are_read_on_access_and_missing_files_named_at_once(tmp_path: Path) -> None:
    name = "Straße-ñ-" + "x" * 200
    mask = fabricated.save(tmp_path / f"{name}.png", MASK)
    image = tmp_path / f"{name}.jpg"
    image.write_bytes(b"read later")
    samples = masks.samples([masks.SampleFiles(name, image, mask, ("g",))], masks.index)
    image.write_bytes(fabricated.jpeg(1))
    assert (samples[0].id, samples[0].group) == (name, ("g",))
    image.unlink()
    with pytest.raises(ValueError, match=re.escape(f"{image} is missing")):
        masks.samples([masks.SampleFiles(name, image, mask)], masks.index)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        ("abc", "ab", "image-c has no mask$"),
        ("abc", "a", r"image-b has no mask \(and 1 more have none\)"),
        ("a", "ab", "mask-b has no image$"),
    ],
)
def test_images_and_masks_without_each_other_are_named(
    images: str, labels: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        masks.matched(
            {name: Path(f"image-{name}") for name in images},
            {name: Path(f"mask-{name}") for name in labels},
        )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is missing; there are: none"),
        (b"\n \n", "is empty"),
        (b"a\nb\na\n", "names 'a' twice"),
        (b"\xff\xfe", "is no UTF-8 text"),
    ],
)
def test_a_list_that_cannot_be_used_is_named(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "train.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"the list .*train\.txt {message}"):
        masks.lines(path, "; there are: none")


def test_lists_of_other_systems_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffé 1\r\nb\r\n\r\n".encode())
    assert masks.lines(tmp_path / "a.txt") == ["é 1", "b"]
