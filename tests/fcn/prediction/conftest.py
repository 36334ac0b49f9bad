"""A network whose predictions are known, as a model file."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from fcn.network import build, model_file
from fcn.records.labels import Labels
from fcn.settings.network import Network


@pytest.fixture(scope="session")
def bright_model(
    tiny: Network, keras_ready: None, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Labels], Path]:
    """Write a model that sees class 1 where there is something, and class 0 elsewhere."""

    def write(labels: Labels) -> Path:
        classes = len(labels.classes)
        network = build.network("fcn32s", "vgg16", tiny, labels.channels, classes)
        score = network.get_layer("score_fr")
        kernel, bias = score.get_weights()
        kernel[..., 1] = 1
        bias[0], bias[2:] = 1e-6, -1
        score.set_weights([kernel, bias])
        path = tmp_path_factory.mktemp("model") / "model.keras"
        model_file.save(network, path, asdict(labels))
        return path

    return write
