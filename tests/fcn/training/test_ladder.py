"""From FCN-32s to FCN-16s, 8s and 4s: what each network takes over from the one before."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import ops

from fcn.network import build
from fcn.network.layers import CropLike
from fcn.settings.network import Network
from fcn.training import losses, transfer

pytestmark = pytest.mark.usefixtures("seeded")
ALIGN = ["same", "pad100"]
LADDER = {"fcn16s": "fuse_pool4", "fcn8s": "fuse_pool3", "fcn4s": "fuse_pool2"}
CLASSES = 3
Trained = Callable[[str], keras.Model]


def blocks(rng: np.random.Generator, count: int, height: int, width: int) -> tuple:
    """Images B H W 1 of a bright and a dark block on grey, and their labels B H W."""
    labels = np.zeros((count, height, width), np.uint8)
    for label in labels:
        for kind in (1, 2):
            top, left = rng.integers(height // 2), rng.integers(width // 2)
            label[top : top + height // 3, left : left + width // 3] = kind
    images = np.array([128, 255, 0])[labels] + rng.normal(0, 10, labels.shape)
    return images[..., None].astype(np.float32), labels


@pytest.fixture(scope="module")
def trained(keras_ready: None, tiny: Network) -> Trained:
    """FCN-32s trained to distinguish blocks, with either padding."""
    keras.utils.set_random_seed(5)
    # Upsampling stays bilinear, like the paper's last one: the next network does not take it over.
    first = build.network("fcn32s", "vgg16", tiny, 1, CLASSES)
    build.freeze(first, ["upscore32"])
    first.compile(keras.optimizers.Adam(3e-3), losses.pixel_cross_entropy)
    images, labels = blocks(np.random.default_rng(1), 4, 128, 128)
    for _ in range(60):
        first.train_on_batch(images, labels)
    answer = ops.convert_to_numpy(first(images)).argmax(-1)
    assert (answer == labels).mean() > (labels == 0).mean() + 0.05

    def aligned(padding: str) -> keras.Model:
        shape = tiny.model_copy(update={"padding": padding})
        model = build.network("fcn32s", "vgg16", shape, 1, CLASSES)
        transfer.transplant(first, model)
        return model

    return aligned


@pytest.mark.parametrize("padding", ALIGN)
def test_the_next_network_takes_over_every_shared_weight_and_agrees(
    padding: str, trained: Trained, tiny: Network
) -> None:
    before = trained(padding)
    shape = tiny.model_copy(update={"padding": padding})
    after = build.network("fcn16s", "vgg16", shape, 1, CLASSES)
    new = transfer.transplant(before, after)
    assert sorted(new) == ["score_pool4", "upscore16", "upscore2"]
    shared = [layer for layer in before.layers if layer.weights and layer.name != "upscore32"]
    for layer in shared:
        for ours, theirs in zip(
            after.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
    rng = np.random.default_rng(2)
    for height, width in ((96, 96), (64, 84), (101, 150)):
        images, _ = blocks(rng, 4, height, width)
        coarse, fine = (
            ops.convert_to_numpy(model(images)).argmax(axis=-1) for model in (before, after)
        )
        assert len(np.unique(coarse)) > 1
        assert (coarse == fine).mean() >= 0.85


@pytest.mark.parametrize("padding", ALIGN)
@pytest.mark.parametrize("head", LADDER)
def test_before_training_a_network_equals_itself_without_the_new_skip(
    head: str, padding: str, tiny: Network, rng: np.random.Generator
) -> None:
    shape = tiny.model_copy(update={"padding": padding})
    model = build.network(head, "vgg16", shape, 1, CLASSES)
    for layer in model.layers:  # all but the newest skip get non-zero weights
        if layer.name.startswith("score") and layer.name != LADDER[head].replace("fuse", "score"):
            layer.set_weights([rng.normal(size=weight.shape) for weight in layer.get_weights()])
    fuse = model.get_layer(LADDER[head])
    without = fuse.input[0]
    after = model.layers[model.layers.index(fuse) + 1 :]
    assert isinstance(after[-1], CropLike)
    for layer in after:
        without = layer([without, model.input] if isinstance(layer, CropLike) else without)
    images = rng.integers(256, size=(1, 70, 45, 1))
    expected = ops.convert_to_numpy(keras.Model(model.input, without)(images))
    got = ops.convert_to_numpy(model(images))
    assert np.ptp(got) > 1e-3
    np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(got).max())
