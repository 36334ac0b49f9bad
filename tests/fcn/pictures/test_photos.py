import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.pictures import photos
from fcn.pictures.provenance import SOFTWARE, encode_mask

RGB = np.random.default_rng(3).integers(256, size=(5, 7, 3)).astype(np.uint8)


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    """A PNG's header without pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    header = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", 0) + b"IDAT" + b"\0\0\0\0"


@pytest.mark.parametrize("channels", [1, 3])
def test_rgb_and_grey_are_decoded_to_the_networks_channels(channels: int) -> None:
    got = photos.decode(encoded(Image.fromarray(RGB)), channels)
    assert got.dtype == np.uint8
    assert got.shape == (5, 7, channels)
    if channels == 3:
        np.testing.assert_array_equal(got, RGB)
    grey = photos.decode(encoded(Image.fromarray(RGB[..., 0])), channels)
    np.testing.assert_array_equal(grey, np.repeat(RGB[..., :1], channels, axis=-1))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_in_exif_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    got = photos.decode(encoded(Image.fromarray(RGB), exif=exif), 3)
    upright = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, -1),
        7: np.rot90(RGB, 2).transpose(1, 0, 2),
        8: np.rot90(RGB),
    }
    np.testing.assert_array_equal(got, upright[orientation])


def test_sixteen_bits_become_the_upper_eight() -> None:
    deep = np.arange(0, 65536, 4096, dtype=np.uint16).reshape(4, 4)
    got = photos.decode(encoded(Image.fromarray(deep)), 1)
    np.testing.assert_array_equal(got[..., 0], deep >> 8)


def test_a_palette_becomes_its_colours() -> None:
    picture = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8))
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    got = photos.decode(encoded(picture), 3)
    assert got[1].tolist() == [[70, 80, 90], [40, 50, 60]]


def test_transparent_pixels_are_white_in_every_mode_with_transparency() -> None:
    clear = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    clear[0, 0, 3] = 0
    got = photos.decode(encoded(Image.fromarray(clear)), 3)
    assert got[0, 0].tolist() == [255] * 3
    np.testing.assert_array_equal(got[1:], RGB[1:])
    palette = Image.fromarray(np.array([[0, 1]], np.uint8))
    palette.putpalette([9, 9, 9, 7, 7, 7])
    assert photos.decode(encoded(palette, transparency=0), 1)[..., 0].tolist() == [[255, 7]]


def test_cmyk_becomes_rgb() -> None:
    cmyk = Image.new("CMYK", (3, 2), (0, 255, 255, 0))
    red = photos.decode(encoded(cmyk, "JPEG", quality=95), 3)[0, 0]
    assert red[0] > 200
    assert red[1:].max() < 60


def test_one_bit_becomes_black_and_white() -> None:
    picture = Image.fromarray(np.array([[True, False]]))
    assert photos.decode(encoded(picture), 1)[..., 0].tolist() == [[255, 0]]


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_each_format_is_read(kind: str) -> None:
    assert photos.decode(encoded(Image.fromarray(RGB), kind), 3).shape == RGB.shape


def animation() -> bytes:
    frames = [Image.new("L", (4, 4), shade) for shade in (0, 255)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes"),
        (b"no picture at all", "17 bytes, not a picture; allowed: JPEG, PNG"),
        (encoded(Image.fromarray(RGB.repeat(40, axis=0)), "JPEG")[:-300], "truncated"),
        (encoded(Image.fromarray(RGB.repeat(40, axis=0)))[:-60], "truncated"),
        (png_of_size(30_000, 30_000), "900,000,000 pixels; the limit is 134,217,728"),
        (png_of_size(2**30, 2**30), "the limit"),
        (png_of_size(40_000, 30_000), "the limit"),
        (animation(), "a GIF of 2 pictures"),
        (encoded(Image.fromarray(RGB[..., 0].astype(np.float32)), "TIFF"), "fractions"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    ],
    ids=["empty", "text", "jpeg", "png", "huge", "absurd", "large", "gif", "float", "eps"],
)
def test_an_unusable_file_is_refused_with_its_reason(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        photos.decode(content, 3)


def test_noise_after_any_formats_first_bytes_is_a_picture_or_refused() -> None:
    rng = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"):
        start = encoded(Image.fromarray(RGB), kind)
        for keep in (4, 12, 30, 60):
            with suppress(ValueError):
                assert photos.decode(start[:keep] + rng.bytes(500), 3).ndim == 3


def test_files_folders_and_patterns_are_found_once_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a/2.JPG", "a/1.png", "a/notes.txt", "a/.hidden.png", "b/c/3.tif", "4"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    assert photos.find(["4", "a", "**/*.png", "b/**/*", "-"]) == {
        "4": Path("4"),
        "a/1.png": Path("1.png"),
        "a/2.JPG": Path("2.JPG"),
        "b/c/3.tif": Path("c/3.tif"),
        "-": Path("stdin"),
    }


def test_sub_folders_that_are_not_read_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a/1.png", "b/2.png", ".hidden/3.png", "4.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list(photos.find([f"{tmp_path}/"])) == [str(tmp_path / "4.png")]
    assert capsys.readouterr().err == (
        f"{tmp_path}/: 2 sub folder(s) are not read; '{tmp_path}/**/*.jpg' reads them\n"
    )
    photos.find([str(tmp_path / "a"), str(tmp_path / "**" / "*.png")])
    assert capsys.readouterr().err == ""


def test_what_the_commands_wrote_is_no_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = encode_mask(np.zeros((2, 2), np.uint8), [(0, 0, 0)], {**SOFTWARE, "Model": "toy"})
    for name, content in (("a.png", encoded(Image.new("L", (2, 2)))), ("a-mask.png", mask)):
        (tmp_path / name).write_bytes(content)
    for named in (tmp_path, tmp_path / "*.png"):
        assert list(photos.find([str(named)])) == [str(tmp_path / "a.png")]
        assert capsys.readouterr().err == (
            f"{named}: 1 picture(s) that this program wrote are left out\n"
        )
    written = str(tmp_path / "a-mask.png")
    assert written in photos.find([str(tmp_path), written])
    for refused in (photos.read_bytes, lambda name: photos.find([name])):
        with pytest.raises(ValueError, match="this program wrote it; name the picture that"):
            refused(written)


def test_names_without_a_picture_are_an_error_only_if_there_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "one.png").touch()
    missing = [str(tmp_path / "empty"), str(tmp_path / "*.bmp")]
    names = [*missing, str(tmp_path / "one.png")]
    assert list(photos.find(names)) == names
    with pytest.raises(ValueError, match=r"empty: a folder that holds no pictures.*no such file"):
        photos.find(missing)
    with pytest.raises(ValueError, match="a folder that holds no pictures"):
        photos.read_bytes(missing[0])
    with pytest.raises(ValueError, match="no such file"):
        photos.read_bytes(missing[1])


def test_a_picture_over_the_limit_is_refused_before_its_pixels_take_memory() -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="limit"):
        photos.decode(png_of_size(30_000, 30_000), 3)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < 2**26
