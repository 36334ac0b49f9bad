"""The evidence that the page reads from the stages' files."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.common import files
from fcn.datasets.shared import catalogue
from fcn.report.page import evidence


def opened(picture: evidence.EmbeddedPicture) -> Image.Image:
    head, _, encoded = picture.address.partition(",")
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    assert head == f"data:image/{str(image.format).lower()};base64"
    assert image.size == (picture.width, picture.height)
    return image


def test_a_small_picture_is_embedded_unchanged_and_a_large_one_reduced(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 2000, 3), np.uint8)
    for name, pixels in (("small", noise[:9, :9]), ("large", noise)):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "a.png")
    files.write_json(tmp_path / "labels.json", {"verdict": "valid"})
    pictures = evidence.read_label_report(tmp_path / "labels.json", tmp_path).pictures
    (small,), (large,) = pictures["small"], pictures["large"]
    np.testing.assert_array_equal(np.asarray(opened(small)), noise[:9, :9])
    assert opened(large).format == "WEBP"
    assert (large.width, large.height) == (evidence.MAX_WIDTH, 64)
    assert len(large.address) < (tmp_path / "large/a.png").stat().st_size


def test_the_first_pictures_of_each_folder_of_the_label_report_are_embedded(tmp_path: Path) -> None:
    for name in ("examples/train", "examples/val", "offenders"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(evidence.PICTURES_PER_FOLDER + 2):
            Image.new("L", (1, 1)).save(tmp_path / "pictures" / name / f"{number}.png")
    Image.new("L", (1, 1)).save(tmp_path / "pictures/class_share.png")
    files.write_json(tmp_path / "labels.json", {"verdict": "valid"})
    labels = evidence.read_label_report(tmp_path / "labels.json", tmp_path / "pictures")
    first = [str(number) for number in range(evidence.PICTURES_PER_FOLDER)]
    assert {
        key: [picture.caption for picture in pictures] for key, pictures in labels.pictures.items()
    } == {
        "examples": [],
        "examples/train": first,
        "examples/val": first,
        "offenders": first,
    }


def test_raw_files_have_their_source(tmp_path: Path) -> None:
    source = catalogue.load("digits")
    files.write_json(tmp_path / "valid.json", {"records": "ab", "verdict": "valid"})
    assert (
        evidence.read_provenance(tmp_path / "valid.json", tmp_path / "none.json", source).raw == []
    )
    names = [source.archives[0].filename, "mine.zip"]
    files.write_json(tmp_path / "hashes.json", {name: {"sha256": "cd"} for name in names})
    provenance = evidence.read_provenance(tmp_path / "valid.json", tmp_path / "hashes.json", source)
    assert [raw.source for raw in provenance.raw] == [source.archives[0].url, "placed by hand"]
    assert (provenance.records, provenance.licence) == ("ab", source.licence)


@pytest.mark.parametrize("text", ["", "epoch,step,loss\n", "a,b\n1,2\n"])
def test_a_file_that_is_not_a_loss_curve_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "loss.csv").write_text(text)
    with pytest.raises(ValueError, match="is not a loss curve; `dvc repro` makes it"):
        evidence._read_curve(tmp_path / "loss.csv")
