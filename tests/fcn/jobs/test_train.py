"""The network that a training starts with."""

from dataclasses import replace
from pathlib import Path

import keras
import pytest

from fcn.jobs import train
from fcn.network import build, model_file
from fcn.records.labels import Labels
from fcn.settings.network import Network
from fcn.settings.stages import TrainSettings
from fcn.training import optimizers

pytestmark = pytest.mark.usefixtures("seeded")
LABELS = Labels("toy", ("background", "one", "two"), ((0, 0, 0),) * 3, 1)
VGG = {*(f"conv{b}_{n}" for b in range(1, 6) for n in range(1, 4 if b > 2 else 3)), "fc6", "fc7"}


def initial(rate: float, tiny: Network, folder: Path) -> keras.Model:
    """FCN-16s, initialised from an FCN-32s, with an optimizer that is built."""
    settings = TrainSettings.of("digits-fcn16s")
    training = settings.model.training.model_copy(
        update={"backbone_rate": rate, "bias_rate": 2, "schedule": "constant"}
    )
    model_settings = settings.model.model_copy(
        update={"training": training, "freeze": ("conv1_1", "upscore16")}
    )
    model_file.save(build.network("fcn32s", "vgg16", tiny, 1, 3), folder / "fcn32s.keras")
    settings = replace(settings, model=model_settings, network=tiny)
    model = train.build_model("digits-fcn16s", settings, LABELS, folder / "fcn32s.keras")
    model.compile(optimizers.build(training, 10))
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize("rate", [0.1, 1])
def test_the_rate_is_that_of_the_backbones_layers_alone(
    rate: float, tiny: Network, tmp_path: Path
) -> None:
    model = initial(rate, tiny, tmp_path)
    layers = {
        variable.path: layer.name
        for layer in model.layers
        for variable in layer.trainable_variables
    }
    assert VGG - set(layers.values()) == {"conv1_1"}
    rates = zip(model.trainable_variables, model.optimizer.rates, strict=True)
    for variable, factor in rates:
        backbone = rate if layers[variable.path] in VGG else 1
        assert factor == backbone * (2 if variable.name == "bias" else 1)
