"""Frozen layers, and names in the settings that no layer has."""

from pathlib import Path

import keras
import numpy as np
import pytest

from fcn.network import build, model_file
from fcn.settings.network import Network
from fcn.training import losses

pytestmark = pytest.mark.usefixtures("seeded")
CLASSES = 3


@pytest.mark.parametrize(
    ("freeze", "frozen"),
    [
        (["upscore2"], {"upscore2"}),
        (["conv1*", "score_fr"], {"conv1_1", "conv1_2", "score_fr"}),
    ],
    ids=str,
)
def test_frozen_layers_do_not_change_and_all_others_learn(
    freeze: list[str], frozen: set[str], tiny: Network, tmp_path: Path
) -> None:
    model = build.network("fcn16s", "vgg16", tiny, 1, CLASSES)
    build.freeze(model, freeze)
    score = model.get_layer("score_fr")
    score.set_weights([weight + 0.1 for weight in score.get_weights()])
    model_file.save(model, tmp_path / "model.keras")
    for saved in (model, model_file.load(tmp_path / "model.keras")):
        assert {x.name for x in saved.layers if x.weights and not x.trainable} == frozen
    learned = {x.name: x for x in model.layers if x.weights}
    before = {name: layer.get_weights() for name, layer in learned.items()}
    model.compile(keras.optimizers.SGD(1e-3), losses.pixel_cross_entropy)
    rng = np.random.default_rng(1)
    labels = rng.integers(CLASSES, size=(1, 64, 64)).astype(np.uint8)
    for _ in range(2):  # score layers start at zero and pass no gradient in the first step
        model.train_on_batch(rng.integers(256, size=(1, 64, 64, 1)), labels)
    unchanged = {
        name
        for name, layer in learned.items()
        if all(map(np.array_equal, layer.get_weights(), before[name]))
    }
    assert unchanged == frozen


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("upscor2", r"freeze: no layer 'upscor2' learns; did you mean 'upscore2'"),
        ("pool*", r"freeze: no layer 'pool\*' learns"),
        ("*", r"freeze: \* leaves nothing to learn"),
    ],
)
def test_a_pattern_that_freezes_no_layer_or_every_layer_is_refused(
    pattern: str, message: str, tiny: Network
) -> None:
    model = build.network("fcn16s", "vgg16", tiny, 1, CLASSES)
    with pytest.raises(ValueError, match=message):
        build.freeze(model, [pattern])


@pytest.mark.parametrize(
    ("layer", "hint"),
    [("upscore", "did you mean 'upscore2'"), ("conv1_1", "known: upscore16, upscore2")],
)
def test_upsampling_of_a_layer_that_does_not_upsample_is_refused(
    layer: str, hint: str, tiny: Network
) -> None:
    with pytest.raises(ValueError, match=f"upsampling: no layer '{layer}' upsamples; {hint}"):
        build.network("fcn16s", "vgg16", tiny, 1, CLASSES, {layer: "random"})
