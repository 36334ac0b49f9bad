"""The contract of every backbone; a new file in fcn/backbones/ needs no new test."""

from collections.abc import Callable

import keras
import numpy as np
import pytest

from fcn.network import alignment, build
from fcn.pretrained import classifier
from fcn.settings.backbone import Backbone, Classifier
from fcn.settings.network import Network
from fcn.settings.training import Training

Answer = Callable[[keras.Model, np.ndarray], np.ndarray]
SIDE = 32


def described(module: str, network: Network) -> Backbone:
    learned = Training(epochs=1, batch=8, learning_rate=1e-3, warmup=0.1, translate=1)
    return Backbone(
        table="t",
        dataset="t",
        raw="t",
        source="t",
        module=module,
        network=network,
        weights="classifier",
        classifier=Classifier(side=SIDE, training=learned),
    )


@pytest.mark.parametrize("fc", [True, False])
def test_its_classifier_shares_every_layer_before_the_dense_ones(
    backbone: str, fc: bool, tiny: Network, keras_ready: None
) -> None:
    settings = described(backbone, tiny.model_copy(update={"fc": fc}))
    assert settings.classifier is not None
    dense = classifier.build(settings, settings.classifier, 1, 10)
    network = build.backbone(backbone, settings.network, 1)
    classifier.decapitate(dense, network)
    layers = {layer.name: layer for layer in network.layers}
    below = dense.layers[: dense.layers.index(dense.get_layer("flatten"))]
    learned = [layer for layer in below if layer.weights]
    assert learned
    for source in learned:
        target = layers[source.name]
        assert all(map(np.array_equal, target.get_weights(), source.get_weights()))


@pytest.mark.parametrize("fc", [True, False])
def test_any_size_gives_maps_of_the_computed_shape(
    backbone: str,
    fc: bool,
    tiny: Network,
    keras_ready: None,
    answer: Answer,
    rng: np.random.Generator,
) -> None:
    model = build.backbone(backbone, tiny.model_copy(update={"fc": fc}), 3)
    for height, width in ((1, 1), (7, 30), (64, 84), (97, 33)):
        got = answer(model, rng.integers(256, size=(1, height, width, 3)))
        assert (
            got.shape == model.compute_output_spec(keras.KerasTensor((1, height, width, 3))).shape
        )
        assert min(got.shape) > 0
        assert np.isfinite(got).all()


def test_channel_order_mean_and_std_are_applied(
    backbone: str, tiny: Network, keras_ready: None, answer: Answer
) -> None:
    preprocessing = {"channel_order": "bgr", "mean": (10.0, 20.0, 30.0), "std": 5.0}
    model = build.backbone(backbone, tiny.model_copy(update=preprocessing), 3)
    first = keras.Model(model.input, model.get_layer("normalise").output)
    got = answer(first, np.array([[[[30, 40, 50]]]]))
    np.testing.assert_allclose(got.ravel(), [(50 - 10) / 5, (40 - 20) / 5, 0], atol=1e-5)


def test_three_means_need_three_channels(backbone: str, tiny: Network, keras_ready: None) -> None:
    with pytest.raises(ValueError, match="mean: got 3 numbers, but images have 1 channels"):
        build.backbone(backbone, tiny.model_copy(update={"mean": (1.0, 2.0, 3.0)}), 1)


def test_a_head_that_does_not_fit_is_refused(
    backbone: str, heads: list[str], tiny: Network, keras_ready: None
) -> None:
    """Each pair either gives scores of the input's size or is refused with a reason."""
    refusals = []
    for head in heads:
        try:
            with keras.StatelessScope(initialize_variables=False):  # shapes only
                model = build.network(head, backbone, tiny, 1, 2)
        except ValueError as refused:
            refusals.append(str(refused))
        else:
            assert model.compute_output_spec(keras.KerasTensor((1, 9, 70, 1))).shape == (
                1,
                9,
                70,
                2,
            )
    assert 0 < len(refusals) < len(heads)
    for reason in refusals:
        assert "the backbone has" in reason or "this head is made for another backbone" in reason


def test_the_maps_that_it_names_exist(backbone: str, tiny: Network, keras_ready: None) -> None:
    module = build.find_module("backbones", backbone)
    images = keras.Input((None, None, 3))
    features = module.features(images, tiny)
    assert module.FLATTENED in features
    names = {layer.name for layer in keras.Model(images, features["last"]).layers}
    assert {alignment.layer_name(feature) for feature in features.values()} <= names
