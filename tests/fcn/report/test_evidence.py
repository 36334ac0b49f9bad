"""What the page takes from the stages' files."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.common import files
from fcn.datasets.shared import catalogue
from fcn.report import evidence


def opened(picture: evidence.Picture) -> Image.Image:
    head, _, told = picture.address.partition(",")
    found = Image.open(io.BytesIO(base64.b64decode(told)))
    assert head == f"data:image/{str(found.format).lower()};base64"
    assert found.size == (picture.width, picture.height)
    return found


def test_a_small_picture_goes_in_as_it_is_and_a_large_one_smaller(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 2000, 3), np.uint8)
    for name, pixels in (("small", noise[:9, :9]), ("large", noise)):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "a.png")
    files.write_json(tmp_path / "labels.json", {"verdict": "valid"})
    shown = evidence.labels(tmp_path / "labels.json", tmp_path).pictures
    (small,), (large,) = shown["small"], shown["large"]
    np.testing.assert_array_equal(np.asarray(opened(small)), noise[:9, :9])
    assert opened(large).format == "WEBP"
    assert (large.width, large.height) == (evidence.WIDEST, 64)
    assert len(large.address) < (tmp_path / "large/a.png").stat().st_size


def test_some_pictures_of_each_folder_of_the_label_report(tmp_path: Path) -> None:
    for name in ("examples/train", "examples/val", "offenders"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(evidence.OF_EACH + 2):
            Image.new("L", (1, 1)).save(tmp_path / "pictures" / name / f"{number}.png")
    Image.new("L", (1, 1)).save(tmp_path / "pictures/class_share.png")
    files.write_json(tmp_path / "labels.json", {"verdict": "valid"})
    found = evidence.labels(tmp_path / "labels.json", tmp_path / "pictures")
    first = [str(number) for number in range(evidence.OF_EACH)]
    assert {key: [one.caption for one in shown] for key, shown in found.pictures.items()} == {
        "examples": [],
        "examples/train": first,
        "examples/val": first,
        "offenders": first,
    }


def test_raw_files_stand_with_where_they_come_from(tmp_path: Path) -> None:
    source = catalogue.load("digits")
    files.write_json(tmp_path / "valid.json", {"records": "ab", "verdict": "valid"})
    assert evidence.data(tmp_path / "valid.json", tmp_path / "none.json", source).raw == []
    names = [source.archives[0].filename, "mine.zip"]
    files.write_json(tmp_path / "hashes.json", {name: {"sha256": "cd"} for name in names})
    found = evidence.data(tmp_path / "valid.json", tmp_path / "hashes.json", source)
    assert [raw.source for raw in found.raw] == [source.archives[0].url, "brought by hand"]
    assert (found.records, found.licence) == ("ab", source.licence)


@pytest.mark.parametrize("text", ["", "epoch,step,loss\n", "a,b\n1,2\n"])
def test_what_is_no_loss_curve_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "loss.csv").write_text(text)
    with pytest.raises(ValueError, match="is no loss curve; `dvc repro` makes it"):
        evidence._curve(tmp_path / "loss.csv")
