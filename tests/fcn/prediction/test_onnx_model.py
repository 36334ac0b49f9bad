"""The commands with an ONNX file: the same masks as the `.keras` file that it was exported from."""

import json
import shutil
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image

from fcn.common import files
from fcn.inference.tiles import LEAST
from fcn.network import backend
from fcn.prediction import named_model, predictor
from fcn.prediction.options import PredictorOptions
from fcn.prediction.predict import Results, predict
from fcn.records.split import Records
from fcn.samples import shipped
from fcn.serving import export

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.fixture(scope="module")
def exported(
    keras_ready: None, small_records: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The shipped model, exported."""
    out = tmp_path_factory.mktemp("exported") / "out"
    export.export(shipped.model(), out, Records(small_records, "test"), ["onnx"])
    return out / "model.onnx"


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """The shipped pictures, one cut to odd sizes, and one that is predicted in tiles."""
    paths = [Path(shutil.copy(path, tmp_path)) for path in shipped.PICTURES]
    with Image.open(paths[1]) as canvas:
        canvas.crop((3, 2, 80, 61)).save(tmp_path / "odd.png")
        tiled = np.tile(np.asarray(canvas), (7, 7))[: LEAST + 9, : LEAST + 21]
    Image.fromarray(tiled).save(tmp_path / "tiled.png")
    return [*paths, tmp_path / "odd.png", tmp_path / "tiled.png"]


def options(model: Path) -> PredictorOptions:
    return PredictorOptions(str(model), tile=LEAST, no_tracking=True)


def masks(folder: Path) -> dict[str, list[list[int]]]:
    return {path.name: np.asarray(Image.open(path)).tolist() for path in folder.glob("*-mask.png")}


def forbid(*arguments: object) -> NoReturn:
    raise AssertionError("an ONNX file needs no Keras")


def test_an_onnx_file_predicts_the_same_masks_without_keras_and_without_a_project(
    exported: Path, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [str(path) for path in pictures]
    assert predict(names, options(shipped.model()), Results(tmp_path / "keras")) == 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(backend, "use", forbid)
    report = tmp_path / "report.json"
    results = Results(tmp_path / "onnx", sticker="3", report=report)
    assert predict(names, options(exported), results) == 0
    expected = masks(tmp_path / "keras")
    assert len(expected) == len(pictures)
    assert masks(tmp_path / "onnx") == expected
    content = json.loads(report.read_text("utf-8"))
    assert content["sha256"] == files.sha256(exported)
    with Image.open(tmp_path / "onnx/odd-mask.png") as mask:
        assert mask.text["Model SHA-256"] == files.sha256(exported)
        sha256 = files.sha256(shipped.model())
        assert mask.text["Exported from"] == f"digits-fcn8s.keras, SHA-256 {sha256}"


def test_an_onnx_file_carries_its_classes(exported: Path) -> None:
    with (
        named_model.find(str(exported), tracking=False) as of_export,
        named_model.find(str(shipped.model()), tracking=False) as of_keras,
    ):
        assert of_export.labels == of_keras.labels
        assert of_export.labels is not None


def test_only_onnx_runtime_runs_an_onnx_file(exported: Path) -> None:
    chosen = PredictorOptions(str(exported), engine="tensorflow", no_tracking=True)
    with (
        pytest.raises(ValueError, match=r"engine 'tensorflow' cannot run .*model\.onnx"),
        predictor.load(chosen),
    ):
        pass
    with predictor.load(PredictorOptions(str(exported), engine="onnx", no_tracking=True)) as model:
        assert model.labels.channels == 1


def test_an_export_is_not_exported_again(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model\.onnx is an export; name the \.keras file"):
        export.export_file(exported, tmp_path / "again", ["onnx"], None, None)


def test_a_damaged_onnx_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with (
        pytest.raises(ValueError, match=r"bad\.onnx is no ONNX file, or damaged"),
        named_model.find(str(tmp_path / "bad.onnx"), tracking=False),
    ):
        pass
