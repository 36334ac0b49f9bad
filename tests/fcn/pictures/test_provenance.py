import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from fcn.pictures import provenance

FACTS = {"Model": "größe.keras", "Git commit": "0123abc with changes"}


def test_a_mask_keeps_its_values_and_holds_colours_and_facts(rng: np.random.Generator) -> None:
    mask = rng.integers(3, size=(20, 31)).astype(np.uint8)
    png = provenance.encode_mask(mask, ((0, 0, 0), (9, 8, 7), (255, 0, 1)), FACTS)
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.mode == "P"
        np.testing.assert_array_equal(np.asarray(picture), mask)
        assert picture.convert("RGB").getpixel((3, 2)) == (
            *((0, 0, 0), (9, 8, 7), (255, 0, 1))[mask[2, 3]],
        )
        assert picture.text == FACTS


def test_a_picture_keeps_its_pixels_in_pillow_and_opencv(rng: np.random.Generator) -> None:
    pixels = rng.integers(256, size=(20, 31, 3)).astype(np.uint8)
    png = provenance.encode_rgb(pixels, FACTS)
    with Image.open(io.BytesIO(png)) as picture:
        np.testing.assert_array_equal(np.asarray(picture), pixels)
        assert picture.text == FACTS
    read = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(read, pixels)


def test_an_output_is_known_by_its_first_fact_and_a_webp_by_the_png_beside_it(
    tmp_path: Path,
) -> None:
    mask = np.zeros((3, 4), np.uint8)
    ours = {**provenance.SOFTWARE, **FACTS}
    for name, facts in (("ours.png", ours), ("theirs.png", FACTS), ("plain.png", {})):
        (tmp_path / name).write_bytes(provenance.encode_mask(mask, [(0, 0, 0)], facts))
    (tmp_path / "empty.png").touch()
    for name in ("ours.webp", "theirs.webp", "alone.webp", "ours.jpg"):
        (tmp_path / name).touch()
    outputs = {path.name for path in tmp_path.iterdir() if provenance.is_output(path)}
    assert outputs == {"ours.png", "ours.webp"}
    assert not provenance.is_output(tmp_path / "missing.png")


def test_all_256_values_of_a_mask_are_kept() -> None:
    mask = np.arange(256, dtype=np.uint8).reshape(16, 16)
    with Image.open(io.BytesIO(provenance.encode_mask(mask, ((1, 2, 3),), {}))) as picture:
        np.testing.assert_array_equal(np.asarray(picture), mask)
