from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from fcn.records import onehot
from fcn.records.sample import IGNORE_INDEX
from fcn.settings.training import Training
from fcn.training import losses

pytestmark = pytest.mark.usefixtures("seeded")
SHAPE, CLASSES = (2, 3, 4), 5


WEIGHTS = (0.5, 1.0, 3.0, 0.0, 2.0)
KINDS: list[dict[str, Any]] = [
    {},
    {"reduction": "sum"},
    {"weights": WEIGHTS},
    {"reduction": "sum", "weights": WEIGHTS},
]


def oracle(
    labels: np.ndarray,
    logits: np.ndarray,
    reduction: str = "mean",
    weights: Sequence[float] = (1.0,) * CLASSES,
) -> float:
    """Cross-entropy pixel by pixel, in float64."""
    logits = logits.astype(np.float64)
    values = [
        weights[labels[pixel]]
        * (np.log(np.exp(logits[pixel]).sum()) - logits[pixel][labels[pixel]])
        for pixel in np.ndindex(*labels.shape)
        if labels[pixel] != IGNORE_INDEX
    ]
    return float((np.mean if reduction == "mean" else np.sum)(values)) if values else 0.0


def descent(labels: np.ndarray, logits: np.ndarray, **kind: Any) -> np.ndarray:
    """The gradient by the logits, as Keras takes it: the step of a descent at rate 1."""
    flat = keras.layers.Dense(logits.size, use_bias=False)
    model = keras.Sequential([keras.Input((1,)), flat, keras.layers.Reshape(logits.shape[1:])])
    flat.set_weights([logits.reshape(1, -1)])
    model.compile(keras.optimizers.SGD(1.0), partial(losses.pixel_cross_entropy, **kind))
    model.train_on_batch(np.ones((1, 1)), labels)
    return logits - flat.get_weights()[0].reshape(logits.shape)


@pytest.fixture
def labels(rng: np.random.Generator) -> np.ndarray:
    drawn = rng.integers(CLASSES, size=SHAPE).astype(np.uint8)
    drawn[rng.random(SHAPE) < 0.3] = IGNORE_INDEX
    assert 0 < (drawn == IGNORE_INDEX).sum() < drawn.size
    return drawn


@pytest.fixture
def logits(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(0, 3, (*SHAPE, CLASSES)).astype(np.float32)


def test_the_loss_is_the_mean_over_all_valid_pixels_of_the_batch(
    labels: np.ndarray, logits: np.ndarray
) -> None:
    loss = float(losses.pixel_cross_entropy(labels, logits))
    assert loss == pytest.approx(oracle(labels, logits), rel=1e-5)


def test_logits_at_ignored_pixels_change_nothing(labels: np.ndarray, logits: np.ndarray) -> None:
    other = logits.copy()
    other[labels == IGNORE_INDEX] = 1e4
    assert float(losses.pixel_cross_entropy(labels, other)) == pytest.approx(
        oracle(labels, logits), rel=1e-5
    )


def test_compiled_into_a_model_the_loss_is_the_same(labels: np.ndarray, logits: np.ndarray) -> None:
    model = keras.Sequential([keras.Input((None, None, CLASSES)), keras.layers.Identity()])
    model.compile(loss=losses.pixel_cross_entropy)
    assert model.test_on_batch(logits, labels) == pytest.approx(oracle(labels, logits), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_sums_and_weights_are_those_of_the_oracle(
    kind: dict[str, Any], labels: np.ndarray, logits: np.ndarray
) -> None:
    loss = losses.pixel_cross_entropy(labels, logits, **kind)
    assert float(loss) == pytest.approx(oracle(labels, logits, **kind), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_one_hot_rows_give_the_same_loss_and_rows_of_zeros_are_ignored(
    kind: dict[str, Any], labels: np.ndarray, logits: np.ndarray
) -> None:
    rows = np.stack([onehot.rows(label, CLASSES) for label in labels])
    assert float(losses.pixel_cross_entropy(rows, logits, **kind)) == float(
        losses.pixel_cross_entropy(labels, logits, **kind)
    )


def test_equal_weights_of_2_double_the_loss(labels: np.ndarray, logits: np.ndarray) -> None:
    """The mean is over pixels, not over their weights."""
    doubled = losses.pixel_cross_entropy(labels, logits, weights=(2.0,) * CLASSES)
    assert float(doubled) == pytest.approx(2 * oracle(labels, logits), rel=1e-5)


def test_the_settings_choose_reduction_and_weights(labels: np.ndarray, logits: np.ndarray) -> None:
    settings = Training(epochs=1, batch=1, learning_rate=1.0, warmup=0.0, translate=0)
    usual = losses.build(settings, None)(labels, logits)
    assert float(usual) == float(losses.pixel_cross_entropy(labels, logits))
    summed = losses.build(settings.model_copy(update={"reduction": "sum"}), WEIGHTS)
    expected = oracle(labels, logits, "sum", WEIGHTS)
    assert float(summed(labels, logits)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("kind", [{}, {"reduction": "sum", "weights": (0.5, 1.0, 3.0)}])
def test_the_gradient_is_that_of_finite_differences(kind: dict[str, Any], one_hot: bool) -> None:
    labels = np.array([[[0, 2, IGNORE_INDEX]]], np.uint8)
    logits = np.array([[[[0.5, -1, 2], [1, 0, -2], [3, 1, 0]]]], np.float32)
    numeric = np.zeros_like(logits)
    for index in np.ndindex(*logits.shape):
        nudge = np.zeros(logits.shape)
        nudge[index] = 1e-4
        up, down = (oracle(labels, logits + side, **kind) for side in (nudge, -nudge))
        numeric[index] = (up - down) / 2e-4
    given = onehot.rows(labels[0], 3)[None] if one_hot else labels
    got = descent(given, logits, **kind)
    np.testing.assert_allclose(got, numeric, atol=1e-5)
    assert not got[0, 0, 2].any()


def test_a_batch_without_a_valid_pixel_has_loss_0_and_gradient_0(logits: np.ndarray) -> None:
    nothing = np.full((1, *SHAPE[1:]), IGNORE_INDEX, np.uint8)
    assert float(losses.pixel_cross_entropy(nothing, logits[:1])) == 0
    assert (descent(nothing, logits[:1]) == 0).all()


def test_half_precision_logits_are_summed_in_float32(
    labels: np.ndarray, logits: np.ndarray
) -> None:
    halved = ops.cast(logits, "bfloat16")
    loss = losses.pixel_cross_entropy(labels, halved)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    rounded = ops.convert_to_numpy(ops.cast(halved, "float32"))
    assert float(loss) == pytest.approx(oracle(labels, rounded), rel=1e-5)
