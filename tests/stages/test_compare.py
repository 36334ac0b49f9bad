"""Two models whose answers are known, on the small records' validation images."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcn.records import verdict
from fcn.records.split import Records
from fcn.scores import metrics
from fcn.settings import reader
from tests.shipped import SHIPPED

os.environ["KERAS_BACKEND"] = reader.load("digits", SHIPPED).common.backend

Make = Callable[..., Path]


@pytest.fixture
def constant(tmp_path: Path, keras_ready: None) -> Make:
    """Save a model that gives every pixel one class."""
    import keras

    from fcn.network import model_file

    def make(answer: int, classes: int = 11, channels: int = 1) -> Path:
        images = keras.Input((None, None, channels))
        bias = keras.initializers.Constant(np.eye(classes)[answer])
        scores = keras.layers.Conv2D(classes, 1, kernel_initializer="zeros", bias_initializer=bias)(
            images
        )
        path = tmp_path / f"{answer}-of-{classes}-{channels}.keras"
        model_file.save(keras.Model(images, scores), path)
        return path

    return make


@pytest.fixture
def compared(
    small_records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path, Path], dict[str, Any]]:
    from stages import compare

    valid, out = tmp_path / "valid.json", tmp_path / "evidence.json"
    verdict.write(valid, small_records)

    def run(champion: Path, candidate: Path) -> dict[str, Any]:
        compare.compare("digits", small_records, valid, champion, candidate, out)
        evidence: dict[str, Any] = json.loads(out.read_text())
        return evidence

    return run


def expected(records: Path, answer: int) -> float:
    split = Records(records, "val")
    total = sum(
        metrics.confusion_matrix(one.label, np.full_like(one.label, answer), 11) for one in split
    )
    return metrics.mean_iou(np.asarray(total))


def test_both_are_measured_on_the_validation_images(
    compared: Callable[[Path, Path], dict[str, Any]], constant: Make, small_records: Path
) -> None:
    background, five = constant(0), constant(5)
    better = compared(five, background)
    assert better["split"] == "val"
    assert (better["images"], better["units"]) == (6, 6)
    assert better["champion"] == pytest.approx(expected(small_records, 5))
    assert better["candidate"] == pytest.approx(expected(small_records, 0))
    assert better["difference"] == better["candidate"] - better["champion"] > 0
    assert 0 < better["low"] < better["difference"] < better["high"]

    worse = compared(background, five)
    assert worse["low"] == pytest.approx(-better["high"])
    assert worse["high"] == pytest.approx(-better["low"])


def test_a_model_and_itself_differ_by_nothing(
    compared: Callable[[Path, Path], dict[str, Any]], constant: Make
) -> None:
    evidence = compared(constant(5), constant(5))
    assert evidence["low"] == evidence["difference"] == evidence["high"] == 0


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"classes": 3}, "has 1 channels and 3 classes.*1 channels and 11 classes"),
        ({"channels": 3}, "has 3 channels"),
    ],
)
def test_a_model_for_other_data_is_refused_by_role(
    compared: Callable[[Path, Path], dict[str, Any]],
    constant: Make,
    other: dict[str, int],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=f"the champion cannot be evaluated: it {message}"):
        compared(constant(0, **other), constant(0))


def test_a_model_of_code_that_is_gone_is_refused_by_role(
    compared: Callable[[Path, Path], dict[str, Any]], constant: Make, tmp_path: Path
) -> None:
    import keras

    @keras.saving.register_keras_serializable("fcn", "Gone")
    class Gone(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs

    images = keras.Input((None, None, 1))
    path = tmp_path / "old.keras"
    keras.Model(images, Gone()(images)).save(path)
    keras.saving.get_custom_objects().pop("fcn>Gone")
    with pytest.raises(
        ValueError, match=r"the candidate cannot be evaluated: Could not locate class .Gone"
    ):
        compared(constant(0), path)
