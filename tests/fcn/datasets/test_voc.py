from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from fcn.datasets import voc2012, voc2012_sbd
from fcn.datasets.shared import voc
from fcn.records.sample import IGNORE_INDEX
from tests import fabricated


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    fabricated.write_voc(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def with_sbd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lists of the published lengths, for reading only."""
    folder = tmp_path_factory.mktemp("sbd")
    fabricated.write_voc_sbd(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        ("background", (0, 0, 0)),
        ("aeroplane", (128, 0, 0)),
        ("car", (128, 128, 128)),
        ("person", (192, 128, 128)),
        ("tvmonitor", (0, 64, 128)),
    ],
)
def test_colours_are_the_official_palettes(name: str, colour: tuple[int, int, int]) -> None:
    assert voc.COLOURS[voc.CLASSES.index(name)] == colour
    assert len(voc.CLASSES) == 21


def test_the_border_of_objects_is_ignored(raw: Path) -> None:
    assert voc.colour(IGNORE_INDEX) == (224, 224, 192)
    for sample in voc2012.samples(raw, "train", 3, 1):
        file = Image.open(raw / voc.MASKS / f"{sample.id}.png")
        assert file.mode == "P"
        shown = np.asarray(file.convert("RGB"))
        assert np.array_equal(
            (shown == voc.colour(IGNORE_INDEX)).all(axis=-1), sample.mask == IGNORE_INDEX
        )


def test_any_list_in_the_folder_is_a_split(raw: Path) -> None:
    assert len(voc2012.samples(raw, "mine", 2, 1)) == 2


def test_a_list_of_ones_own_may_lie_beside_the_tar(raw: Path) -> None:
    (raw / "few.txt").write_text("2007_000033\n")
    assert [sample.id for sample in voc2012.samples(raw, "few", 1, 1)] == ["2007_000033"]


def test_a_missing_list_is_answered_with_those_there_are(raw: Path) -> None:
    with pytest.raises(ValueError, match=r"trian\.txt is missing; there are: mine, train, val"):
        voc2012.samples(raw, "trian", 1, 1)


@pytest.mark.parametrize("folder", [voc.IMAGES, voc.MASKS])
def test_what_a_list_names_has_to_be_there(raw: Path, folder: Path) -> None:
    missing = next((raw / folder).glob("2007_000039.*"))
    missing.unlink()
    with pytest.raises(ValueError, match=f"{missing} is missing, but its split names it"):
        voc2012.samples(raw, "train", 3, 1)


@pytest.mark.parametrize("name", voc2012_sbd.COMPUTED)
def test_computed_lists_have_the_published_lengths(with_sbd: Path, name: str) -> None:
    expected, _ = voc2012_sbd.COMPUTED[name]
    assert len(voc2012_sbd.ids(with_sbd, name)) == expected


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train_aug", "val"),
        ("rv_voc12_train", "rv_voc12_val"),
        ("sbd_train", "seg11valid"),
        ("train_aug", "seg11valid"),
    ],
)
def test_lists_that_are_used_together_share_no_image(with_sbd: Path, train: str, val: str) -> None:
    assert not set(voc2012_sbd.ids(with_sbd, train)) & set(voc2012_sbd.ids(with_sbd, val))


def test_vocs_own_masks_win_but_in_sbds_own_lists(with_sbd: Path) -> None:
    name = voc2012_sbd.ids(with_sbd, "val")[0]
    mixed, pure = (
        next(
            sample
            for sample in voc2012_sbd.samples(with_sbd, split, 1, 1)[:1000]
            if sample.id == name
        )
        for split in ("val", "sbd_train")
    )
    own = np.asarray(Image.open(with_sbd / "one.png"))
    assert np.array_equal(mixed.mask, own)
    assert not np.array_equal(pure.mask, own)
    assert pure.mask.max() <= 20
    assert pure.mask.dtype == np.uint8


def test_incomplete_lists_of_the_publishers_are_refused(tmp_path: Path) -> None:
    fabricated.write_voc(tmp_path)
    for name in ("train", "val"):
        path = tmp_path / voc2012_sbd.HOME / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("2007_000032\n")
    with pytest.raises(ValueError, match=r"train_aug: 3 images follow .* but 10582 from"):
        voc2012_sbd.samples(tmp_path, "train_aug", 1, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no mask of SBD"),
        (b"MATLAB 5.0 MAT-file, then nothing" * 9, "no mask of SBD"),
        ({"other": np.zeros(3)}, "no mask of SBD .KeyError"),
        ({"GTcls": {"Segmentation": np.zeros((2, 2))}}, "float64 of shape"),
    ],
)
def test_a_damaged_mask_of_sbd_is_named(
    tmp_path: Path, content: bytes | dict[str, object], message: str
) -> None:
    path = tmp_path / "2008_000001.mat"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        savemat(path, content)
    with pytest.raises(ValueError, match=rf"2008_000001\.mat: {message}"):
        voc2012_sbd.read(path)
