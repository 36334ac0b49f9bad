import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.prediction import sticker
from fcn.prediction.predictor import Segmentation
from fcn.records.labels import Labels

LABELS = Labels("toy", ("ground", "person"), ((0, 0, 0), (255, 0, 0)), 3)


def scene(height: int, width: int, box: tuple[slice, slice]) -> Segmentation:
    image = np.full((height, width, 3), 90, np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[box] = 1
    return Segmentation("scene.png", image, mask, None)


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((slice(10, 30), slice(5, 45)), (256, 512)),
        ((slice(0, 60), slice(0, 15)), (512, 128)),
        ((slice(7, 8), slice(9, 10)), (512, 512)),
        ((slice(0, 60), slice(0, 1)), (512, 9)),
    ],
)
def test_the_object_fills_the_sticker_undistorted_on_a_transparent_background(
    box: tuple[slice, slice], size: tuple[int, int]
) -> None:
    shown = scene(60, 80, box)
    cut = sticker.cut(shown.image, shown.mask == 1)
    assert cut.shape == (512, 512, 4)
    rows, columns = (np.flatnonzero((cut[..., 3] > 0).any(axis=axis)) for axis in (1, 0))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == size
    assert abs((rows[0] + rows[-1]) / 2 - 255.5) <= 0.5
    assert set(np.unique(cut[..., 3])) <= {0, 255}
    assert not cut[cut[..., 3] == 0].any()


def test_the_white_contour_is_the_band_that_an_erosion_by_five_removes() -> None:
    shown = scene(60, 80, (slice(10, 30), slice(5, 45)))
    cut = sticker.cut(shown.image, shown.mask == 1)
    inside = cut[cut[..., 3] > 0].reshape(256, 512, 4)
    assert (inside[2:-2, 2:-2, :3] == 90).all()
    band = np.ones((256, 512), bool)
    band[2:-2, 2:-2] = False
    assert (inside[band] == 255).all()


def test_a_large_object_is_made_smaller() -> None:
    shown = scene(3000, 1000, (slice(0, 3000), slice(0, 1000)))
    cut = sticker.cut(shown.image, shown.mask == 1)
    assert (cut[..., 3] > 0).sum() == 512 * 171


def test_both_files_have_the_formats_that_messengers_accept(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    shown = scene(600, 800, (slice(0, 600), slice(0, 800)))
    shown.image[:] = rng.integers(256, size=shown.image.shape)  # the worst to compress
    assert sticker.write(shown, {"Model": "toy"}, 1, "person", tmp_path / "scene")
    with Image.open(tmp_path / "scene-person.png") as png:
        assert (png.mode, png.size, png.text) == ("RGBA", (512, 512), {"Model": "toy"})
    encoded = (tmp_path / "scene-person.webp").read_bytes()
    assert len(encoded) <= sticker.BYTES
    with Image.open(io.BytesIO(encoded)) as webp:
        assert (webp.format, webp.mode, webp.size) == ("WEBP", "RGBA", (512, 512))


def test_without_the_class_there_is_no_file(tmp_path: Path) -> None:
    shown = scene(6, 8, (slice(0, 0), slice(0, 0)))
    assert not sticker.write(shown, {}, 1, "person", tmp_path / "scene")
    assert not list(tmp_path.iterdir())


def test_an_unknown_class_is_refused_with_the_nearest() -> None:
    assert sticker.number("person", LABELS) == 1
    with pytest.raises(ValueError, match=r"no class 'persn'; did you mean 'person'\?"):
        sticker.number("persn", LABELS)
