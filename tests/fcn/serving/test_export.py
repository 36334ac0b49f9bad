import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from fcn.common import files
from fcn.network import build, model_file
from fcn.records.split import Records
from fcn.serving import card, export, formats
from fcn.settings.network import Network
from tests import toy
from tests.shipped import SHIPPED

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.fixture(scope="module")
def network(keras_ready: None, tiny: Network) -> keras.Model:
    return toy.network(tiny, 1, 11, "fcn16s")


@pytest.fixture(scope="module")
def model(network: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "toy-fcn16s.keras"
    model_file.save(network, path)
    return path


@pytest.fixture(scope="module")
def split(small_records: Path) -> Records:
    return Records(small_records, "test")


def test_an_export_is_the_file_and_a_card_with_their_agreement(
    model: Path, network: keras.Model, split: Records, tmp_path: Path
) -> None:
    out = tmp_path / "exported"
    out.mkdir()
    (out / "model.onnx").write_text("of an earlier export")
    export.export(model, out, split, ["saved_model"], card.read_row("digits-fcn16s", SHIPPED))
    assert {path.name for path in out.iterdir()} == {"saved_model", "README.md"}
    image = split[0].image[None]
    opened = formats.FORMATS["saved_model"].open(out / "saved_model")
    np.testing.assert_allclose(opened(image), network.predict_on_batch(image), rtol=1e-4, atol=1e-4)
    text = (out / "README.md").read_text("utf-8")
    for part in (
        "# toy-fcn16s",
        "FCN-16s that predicts the class of each pixel",
        f"`{export.sha256(out / 'saved_model')}`",
        "Compared with the network on 12 pictures",
        "100.000%",
        "| 10 | 9 |",
        "Licence: CC BY 4.0",
        "84 pixels wide and 64 pixels high",
        files.sha256(model),
    ):
        assert part in text


class Off:
    """An export whose logits are off."""

    def __init__(self, by: float, pixels: int = 0) -> None:
        self.by, self.pixels = by, pixels

    def __call__(self, images: np.ndarray) -> np.ndarray:
        logits = answer(images)
        logits[0, 0, 0, 1] += self.by
        logits[0, :, : self.pixels] = logits[0, :, : self.pixels, ::-1]
        return logits


def answer(images: np.ndarray) -> np.ndarray:
    """Logits between 0 and 10."""
    return np.stack([images[..., 0] / 25.5, 10 - images[..., 0] / 25.5], axis=-1)


@pytest.mark.parametrize(
    ("exported", "accepted"),
    [
        (Off(0), True),
        (Off(0.9e-3), True),
        (Off(1.1e-3), False),
        (Off(np.nan), False),
        (Off(0, pixels=1), False),
    ],
)
def test_an_export_that_differs_is_refused(exported: Off, accepted: bool) -> None:
    images = [np.full((4, 5, 1), value, np.uint8) for value in (0, 255)]
    found = export.compare(answer, exported, images)
    assert (found.pictures, found.pixels, found.largest) == (2, 40, 10)
    if accepted:
        export.require_equal("model.onnx", found)
    else:
        with pytest.raises(ValueError, match=r"model.onnx is refused: on 2 pictures its logits"):
            export.require_equal("model.onnx", found)


def test_a_few_pixels_of_another_class_are_refused_whatever_the_logits() -> None:
    found = card.Agreement(pictures=2, pixels=10_000, difference=0, largest=1, equal=0.9998)
    with pytest.raises(ValueError, match=r"99\.980% of the pixels have the same class"):
        export.require_equal("model.onnx", found)


def test_a_refused_export_leaves_the_earlier_one(
    model: Path, split: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "exported"
    out.mkdir()
    (out / "model.onnx").write_text("earlier")
    wrong = replace(
        formats.FORMATS["onnx"],
        write=lambda network, path: path.write_bytes(b"wrong"),
        open=lambda path: lambda images: np.zeros((*images.shape[:3], 11), np.float32),
        describe=None,
    )
    monkeypatch.setitem(formats.FORMATS, "onnx", wrong)
    with pytest.raises(ValueError, match=r"model\.onnx is refused"):
        export.export(model, out, split, ["onnx"])
    assert [path.name for path in tmp_path.iterdir()] == ["exported"]
    assert (out / "model.onnx").read_text() == "earlier"


def test_a_folder_with_other_files_is_not_replaced(
    model: Path, split: Records, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match=r"holds other files \(thesis.tex\)"):
        export.export(model, tmp_path, split)
    assert (tmp_path / "thesis.tex").is_file()


def test_a_model_of_other_classes_is_refused(tiny: Network, split: Records, tmp_path: Path) -> None:
    model_file.save(build.network("fcn32s", "vgg16", tiny, 1, 4), tmp_path / "other.keras")
    with pytest.raises(ValueError, match=r"predicts 4 classes, but .* has 1 and 11"):
        export.export(tmp_path / "other.keras", tmp_path / "out", split)


def test_pictures_are_spread_over_the_split_whole_and_cropped(split: Records) -> None:
    shown = list(export.examples(split, 3))
    assert [image.shape for image in shown] == [(64, 84, 1), (61, 79, 1)] * 3
    np.testing.assert_array_equal(shown[-2], split[len(split) - 1].image)


def test_a_folders_hash_is_that_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_text("1")
    (tmp_path / "a").write_text("2")
    lines = [
        f"{hashlib.sha256(text).hexdigest()}  {name}\n"
        for text, name in ((b"2", "a"), (b"1", "b/c"))
    ]
    assert export.sha256(tmp_path) == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_model_that_is_no_row_needs_records(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"toy-fcn16s is no row of a table.*--records"):
        export.export_file(model, tmp_path / "out", ["onnx"], None, None)


def test_a_row_is_exported_with_its_own_records_and_table(
    model: Path, small_records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("params.yaml", "dvc.yaml", "tables"):
        (tmp_path / name).symlink_to(SHIPPED / name)
    (tmp_path / "data/models").mkdir(parents=True)
    shutil.copy(model, tmp_path / "data/models/digits-fcn16s.keras")
    (tmp_path / "data/records").mkdir()
    (tmp_path / "data/records/digits").symlink_to(small_records)
    (tmp_path / "data/tables").mkdir()
    (tmp_path / "data/tables/digits.md").write_text("# Digits\n\n| FCN-16s | 71.1 |\n")
    cell = {"network": "FCN-16s", "row": "digits-fcn16s", "metric": "mean_iou", "published": 65.0}
    files.write_json(
        tmp_path / "data/tables/digits.json",
        {"cells": [cell | {"value": None, "verdict": "not comparable"}]},
    )
    monkeypatch.chdir(tmp_path)
    file = Path("data/models/digits-fcn16s.keras")
    export.export_file(file, Path("out"), ["saved_model"], None, None)
    text = Path("out/README.md").read_text("utf-8")
    assert "### Digits\n\n| FCN-16s | 71.1 |" in text
    assert "| FCN-16s | digits-fcn16s | mean_iou | 65.0 | – | not comparable |" in text
