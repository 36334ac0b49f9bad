import keras
import numpy as np
import pytest
from keras import layers, ops

from fcn.network import build
from fcn.settings.network import Network
from fcn.training import transfer

pytestmark = pytest.mark.usefixtures("seeded")
CLASSES = 3


def network(head: str, shape: Network, rng: np.random.Generator) -> keras.Model:
    """A network as if trained: no weight is at its start."""
    model = build.network(head, "vgg16", shape, 1, CLASSES)
    model.set_weights([rng.normal(0, 0.1, weight.shape) for weight in model.get_weights()])
    return model


def by_name(model: keras.Model) -> dict[str, list[np.ndarray]]:
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


@pytest.mark.parametrize(
    ("start", "head", "new"),
    [
        ("fcn32s", "fcn16s", ["score_pool4", "upscore2", "upscore16"]),
        ("fcn16s", "fcn8s", ["score_pool3", "upscore_pool4", "upscore8"]),
        ("fcn8s", "fcn8s", []),
    ],
)
def test_every_shared_weight_is_carried_bit_for_bit_and_new_layers_keep_their_start(
    start: str, head: str, new: list[str], tiny: Network, rng: np.random.Generator
) -> None:
    source = network(start, tiny, rng)
    target = build.network(head, "vgg16", tiny, 1, CLASSES)
    before = by_name(target)
    assert sorted(transfer.transplant(source, target)) == sorted(new)
    source_weights, target_weights = by_name(source), by_name(target)
    for name, values in target_weights.items():
        expected = before[name] if name in new else source_weights[name]
        for value, original in zip(values, expected, strict=True):
            assert value.tobytes() == original.tobytes(), name
    assert len(target_weights) - len(new) >= 16


@pytest.mark.parametrize(
    ("start", "head", "last"),
    [("fcn32s", "fcn16s", "upscore2"), ("fcn16s", "fcn8s", "upscore_pool4")],
)
def test_at_step_0_the_new_skip_adds_nothing(
    start: str, head: str, last: str, tiny: Network, rng: np.random.Generator
) -> None:
    model = build.network(head, "vgg16", tiny, 1, CLASSES)
    transfer.transplant(network(start, tiny, rng), model)
    final = model.layers[-2]
    without = keras.Model(model.input, final(model.get_layer(f"{last}_crop").output))
    image = rng.integers(256, size=(1, 64, 96, 1))
    scores = ops.convert_to_numpy(model(image))
    np.testing.assert_array_equal(scores, ops.convert_to_numpy(without(image)))
    assert np.ptp(scores) > 0


def test_other_shapes_are_refused_with_the_layers_name_and_nothing_is_taken(
    tiny: Network, rng: np.random.Generator
) -> None:
    source = network("fcn32s", tiny.model_copy(update={"fc6_kernel": 3}), rng)
    target = network("fcn16s", tiny, rng)
    before = target.get_weights()
    with pytest.raises(
        ValueError,
        match=r"layer fc6 is .*3, 3, 32, 256.* in fcn32s but .*1, 1, 32, 256.* in fcn16s",
    ):
        transfer.transplant(source, target)
    for weight, original in zip(target.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, original)


def test_nothing_in_common_is_refused_with_both_sides_names(tiny: Network) -> None:
    other = keras.Sequential([keras.Input((2,)), layers.Dense(3, name="elsewhere")], name="other")
    target = build.network("fcn32s", "vgg16", tiny, 1, CLASSES)
    with pytest.raises(
        ValueError, match=r"no layer of other \(elsewhere\) has the name .*fcn32s \(conv1_1"
    ):
        transfer.transplant(other, target)


def built(side: int, channels: int, kernel: int) -> tuple[layers.Dense, layers.Conv2D]:
    """A dense layer over a window of side x side, and a convolution with another kernel."""
    dense = layers.Dense(5, name="dense")
    dense.build((None, side * side * channels))
    conv = layers.Conv2D(5, kernel, padding="same", name="conv")
    conv.build((None, None, None, channels))
    return dense, conv


@pytest.mark.parametrize(("side", "kernel"), [(1, 1), (3, 3), (1, 3), (3, 5), (1, 7), (7, 7)])
def test_in_the_middle_of_its_window_the_convolution_is_the_dense_layer(
    side: int, kernel: int, rng: np.random.Generator
) -> None:
    dense, conv = built(side, 4, kernel)
    dense.set_weights([rng.normal(size=(side * side * 4, 5)), rng.normal(size=5)])
    transfer.convolutionalize(dense, conv)
    window = rng.normal(size=(2, side, side, 4)).astype(np.float32)
    flat = ops.convert_to_numpy(dense(window.reshape(2, -1)))
    same = ops.convert_to_numpy(conv(window))[:, side // 2, side // 2]
    np.testing.assert_allclose(same, flat, atol=1e-4)


def test_in_a_larger_image_the_convolution_sees_the_dense_window_alone(
    rng: np.random.Generator,
) -> None:
    dense, conv = built(3, 2, 5)
    dense.set_weights([rng.normal(size=(18, 5)), rng.normal(size=5)])
    transfer.convolutionalize(dense, conv)
    image = rng.normal(size=(1, 7, 8, 2)).astype(np.float32)
    scores = ops.convert_to_numpy(conv(image))
    for top, left in np.ndindex(5, 6):
        window = image[:, top : top + 3, left : left + 3]
        flat = ops.convert_to_numpy(dense(window.reshape(1, -1)))
        np.testing.assert_allclose(scores[:, top + 1, left + 1], flat, atol=1e-4)


@pytest.mark.parametrize(("inputs", "kernel"), [(3 * 3 * 4, 1), (6 * 4, 3), (4 * 4 + 1, 5)])
def test_a_window_that_does_not_fit_is_refused_with_both_shapes(inputs: int, kernel: int) -> None:
    dense = layers.Dense(5, name="dense")
    dense.build((None, inputs))
    _, conv = built(1, 4, kernel)
    shapes = rf"dense \({inputs}, 5\) does not fit conv \({kernel}, {kernel}, 4, 5\)"
    with pytest.raises(ValueError, match=shapes):
        transfer.convolutionalize(dense, conv)
