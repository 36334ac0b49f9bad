import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.datasets import cityscapes
from fcn.datasets.shared import catalogue
from fcn.prediction import predictor, submission
from fcn.prediction.options import PredictorOptions
from fcn.prediction.predictor import Predictor
from fcn.records.labels import Labels
from tests.fcn.pictures.test_photos import encoded

PICTURES = {
    "voc2012": "2008_000006.jpg",
    "cityscapes": "berlin_000000_000019_leftImg8bit.png",
    "kitti_road": "umm_000012.png",
}


def labels(name: str) -> Labels:
    known = catalogue.load(name)
    return Labels(known.name, known.classes, known.colours, known.channels)


@pytest.fixture
def predicting(monkeypatch: pytest.MonkeyPatch) -> Callable[[Labels], None]:
    """Predict with a network for which the red channel is the class."""

    def network(names: Labels) -> None:
        def logits(images: np.ndarray) -> np.ndarray:
            return 8.0 * np.eye(len(names.classes), dtype=np.float32)[images[..., 0]]

        @contextmanager
        def load(
            options: PredictorOptions, require: Callable[[Labels], object]
        ) -> Iterator[Predictor]:
            require(names)
            yield Predictor(logits, names, {}, options)

        monkeypatch.setattr(predictor, "load", load)

    return network


def submit(name: str, folder: Path, competition: str = "comp6") -> None:
    pictures = [str(folder / PICTURES[name])]
    submission.submission(name, pictures, PredictorOptions(), folder / "out", competition)


def scene(name: str, folder: Path) -> np.ndarray:
    """A picture of three rows that shows each class in a column, saved without loss."""
    classes = len(catalogue.load(name).classes)
    mask = np.tile(np.arange(classes, dtype=np.uint8), (3, 1))
    (folder / PICTURES[name]).write_bytes(encoded(Image.fromarray(np.dstack([mask] * 3)), "PNG"))
    return mask


def pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.mode in ("L", "P")
        return np.asarray(picture)


@pytest.mark.parametrize("competition", ["comp5", "comp6"])
def test_voc_gets_palette_pngs_in_its_folders(
    competition: str, predicting: Callable[[Labels], None], tmp_path: Path
) -> None:
    mask = scene("voc2012", tmp_path)
    predicting(labels("voc2012"))
    submit("voc2012", tmp_path, competition)
    with tarfile.open(tmp_path / "out" / "voc2012.tar.gz") as packed:
        (member,) = (one for one in packed if one.isfile())
        assert member.name.removeprefix("./") == (
            f"results/VOC2012/Segmentation/{competition}_test_cls/2008_000006.png"
        )
        content = packed.extractfile(member).read()  # type: ignore[union-attr]
    np.testing.assert_array_equal(pixels(content), mask)
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.convert("RGB").getpixel((15, 0)) == (192, 128, 128)  # VOC's person


def test_cityscapes_gets_label_ids_that_its_own_reader_decodes(
    predicting: Callable[[Labels], None], tmp_path: Path
) -> None:
    mask = scene("cityscapes", tmp_path)
    predicting(labels("cityscapes"))
    submit("cityscapes", tmp_path)
    with zipfile.ZipFile(tmp_path / "out" / "cityscapes.zip") as packed:
        (name,) = packed.namelist()
        packed.extract(name, tmp_path)
    assert name == "berlin_000000_000019_labelIds.png"
    read, _ = cityscapes.read_label_ids(tmp_path / name)
    np.testing.assert_array_equal(read, mask)
    assert pixels((tmp_path / name).read_bytes())[0, :3].tolist() == [7, 8, 11]


def test_kitti_road_gets_the_probability_of_road(
    predicting: Callable[[Labels], None], tmp_path: Path
) -> None:
    scene("kitti_road", tmp_path)
    predicting(labels("kitti_road"))
    submit("kitti_road", tmp_path)
    with zipfile.ZipFile(tmp_path / "out" / "kitti_road.zip") as packed:
        assert packed.namelist() == ["umm_road_000012.png"]
        road = pixels(packed.read("umm_road_000012.png"))
    assert road.tolist() == [[0, 255]] * 3


def test_a_model_of_another_table_is_refused(
    predicting: Callable[[Labels], None], tmp_path: Path
) -> None:
    scene("voc2012", tmp_path)
    predicting(labels("digits"))
    with pytest.raises(ValueError, match=r"made for digits: 11 classes.*voc2012 scores 21"):
        submit("voc2012", tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", PICTURES)
def test_a_name_that_is_not_the_benchmarks_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"holiday\.jpg: .* names its pictures like"):
        submission.paths(name, ["holiday.jpg"], "comp6")


def test_two_pictures_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="the same name"):
        submission.paths("kitti_road", ["a/um_000001.png", "b/um_000001.png"], "comp6")


def test_a_broken_picture_ends_the_command_and_nothing_is_written(
    predicting: Callable[[Labels], None], tmp_path: Path
) -> None:
    (tmp_path / PICTURES["kitti_road"]).write_bytes(b"")
    predicting(labels("kitti_road"))
    with pytest.raises(ValueError, match=r"umm_000012\.png: an empty file.*nothing was written"):
        submit("kitti_road", tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_files_is_not_replaced(
    predicting: Callable[[Labels], None], tmp_path: Path
) -> None:
    scene("kitti_road", tmp_path)
    predicting(labels("kitti_road"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").touch()
    with pytest.raises(ValueError, match=r"holds other files \(thesis\.txt\)"):
        submit("kitti_road", tmp_path)
    (tmp_path / "out" / "thesis.txt").unlink()
    submit("kitti_road", tmp_path)
    submit("kitti_road", tmp_path)
