"""The numbers in the files are those of the predictions, and what does not fit is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from fcn.records import verdict
from fcn.records.split import Records
from fcn.scores import metrics, per_image
from fcn.scores.summary import summarise
from fcn.settings.network import Network
from stages.evaluate import evaluate

KEY = "digits-fcn32s"
pytestmark = pytest.mark.usefixtures("keras_ready")


@pytest.fixture(scope="module")
def model(keras_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network with a few channels."""
    return network(11, tmp_path_factory.mktemp("model") / "model.keras")


def network(classes: int, path: Path) -> Path:
    import keras

    from fcn.network import build, model_file

    keras.utils.set_random_seed(3)
    shape = Network(width=0.0625, fc6_kernel=1, dropout=0.0, mean=0.0, std=255.0)
    made = build.network("fcn8s", "vgg16", shape, 1, classes)
    for layer in made.layers:  # new score layers start at zero: every pixel would be the same
        if layer.name.startswith("score_"):
            layer.set_weights(
                [np.random.default_rng(1).normal(size=w.shape) for w in layer.weights]
            )
    model_file.save(made, path)
    return path


def run(model: Path, records: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict.write(out / "valid.json", records)
    evaluate(
        KEY,
        records,
        out / "valid.json",
        model,
        metrics=out / "m.json",
        plots=out / "plots",
        details=out / "details",
        no_tracking=True,
    )


def test_every_number_follows_from_what_is_kept_of_each_image(
    model: Path, small_records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fcn.inference import forward
    from fcn.network import model_file

    run(model, small_records, tmp_path, monkeypatch)
    split = Records(small_records, "test")
    matrices = forward.confusion_matrices(model_file.load(model), split, 5, 11)
    images = per_image.read(tmp_path / "details" / per_image.FILE)
    np.testing.assert_array_equal(images.confusion, matrices)
    assert images.ids == [row.id for row in split.rows]
    said = json.loads((tmp_path / "m.json").read_text("utf-8"))
    head = {"split": "test", "images": 6, "stride": 32}
    head |= {
        "parameters": model_file.load(model).count_params(),
        "model_bytes": model.stat().st_size,
    }
    assert {name: said.pop(name) for name in head} == head
    assert said == summarise(images, split.labels.classes)
    assert said["mean_iou"] == metrics.mean_iou(matrices.sum(axis=0))
    assert len(list((tmp_path / "details").glob("*.png"))) == 6
    assert images.calibration[:, 0].sum() == matrices.sum()


def test_the_same_model_gives_the_same_bytes(
    model: Path, small_records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        run(model, small_records, tmp_path / name, monkeypatch)
    first, second = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("first", "second")
    )
    assert first == second


def test_a_model_of_another_class_count_is_refused(
    small_records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = network(5, tmp_path / "other.keras")
    with pytest.raises(ValueError, match=r"other\.keras predicts 5 classes, but .* has 11"):
        run(other, small_records, tmp_path, monkeypatch)
    assert {path.name for path in tmp_path.iterdir()} == {"other.keras", "valid.json"}
