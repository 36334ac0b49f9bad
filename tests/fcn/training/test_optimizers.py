"""Compared with NumPy implementations of the papers' formulas, and with Keras."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from fcn.records.sample import IGNORE_INDEX
from fcn.settings.training import Training
from fcn.training import losses, optimizers

pytestmark = pytest.mark.usefixtures("seeded")
RATE = 1e-2


def settings(**changed: Any) -> Training:
    values = {"epochs": 2, "batch": 4, "learning_rate": RATE, "warmup": 0.25, "translate": 2}
    return Training.model_validate(values | changed)


@pytest.mark.parametrize(("warmup", "peak"), [(0.25, 10), (0.0, 0), (0.01, 0), (0.5, 20)])
def test_the_learning_rate_rises_from_0_to_its_peak_and_falls_to_0(
    warmup: float, peak: int
) -> None:
    schedule = optimizers.schedule(settings(warmup=warmup), 40)
    rates = [float(schedule(step)) for step in range(41)]
    assert rates[0] == (0 if peak else pytest.approx(RATE))
    assert rates[peak] == max(rates) == pytest.approx(RATE)
    assert rates[40] == pytest.approx(0, abs=1e-9)
    rise, fall = np.diff(rates[: peak + 1]), np.diff(rates[peak:])
    np.testing.assert_allclose(rise, RATE / max(peak, 1), rtol=1e-4)
    assert (fall < 0).all()
    # Half a cosine: half the peak half way.
    assert rates[(40 + peak) // 2] == pytest.approx(RATE / 2)


def test_a_training_of_one_step_has_a_learning_rate() -> None:
    assert float(optimizers.schedule(settings(warmup=0.0), 1)(0)) == pytest.approx(RATE)


def rates(steps: int, **changed: Any) -> np.ndarray:
    schedule = optimizers.schedule(settings(**changed), steps)
    return np.array([float(schedule(step)) for step in range(steps + 1)])


SHAPES: dict[str, tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]] = {
    "constant": ({"schedule": "constant"}, np.ones_like),
    "poly": ({"schedule": "poly", "power": 0.9}, lambda share: (1 - share) ** 0.9),
    "steps": (
        {"schedule": "steps", "milestones": [0.5, 0.8], "gamma": 0.2},
        lambda share: np.select([share < 0.5, share < 0.8], [1, 0.2], 0.04),
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_each_schedule_follows_its_formula_after_the_warm_up(name: str) -> None:
    changed, shape = SHAPES[name]
    expected = [RATE * step / 10 for step in range(10)]
    expected += list(RATE * shape(np.arange(31) / 30))
    np.testing.assert_allclose(rates(40, **changed), expected, rtol=1e-5, atol=1e-10)
    straight = rates(40, **changed, warmup=0.0)
    np.testing.assert_allclose(straight, RATE * shape(np.arange(41) / 40), rtol=1e-5, atol=1e-10)


def test_the_smallest_published_rate_does_not_underflow() -> None:
    assert rates(9, schedule="constant", warmup=0.0, learning_rate=1e-14)[5] == pytest.approx(1e-14)


STEPS = 5
KERNEL = np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2)
BIAS = np.array([0.3, -0.2], np.float32)
IMAGES = np.linspace(-1, 2, 12, dtype=np.float32).reshape(4, 3)
LABELS = IMAGES[:, :2] ** 2


def square(labels: keras.KerasTensor, outputs: keras.KerasTensor) -> keras.KerasTensor:
    return ops.mean(ops.square(outputs - labels))


def trained(training: Training, steps: int = STEPS) -> list[np.ndarray]:
    """Kernel and bias after some steps; accumulating steps get a part of the batch each."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.set_weights([KERNEL, BIAS])
    jit = keras.backend.backend() == "jax"
    model.compile(optimizers.build(training, 100), square, jit_compile=jit)
    parts = range(training.accumulate)
    for _ in range(steps):
        for part in parts:
            members = np.s_[part :: training.accumulate]
            model.train_on_batch(IMAGES[members], LABELS[members])
    return model.get_weights()


def trained_in_numpy(training: Training, steps: int = STEPS) -> list[np.ndarray]:
    """The same in NumPy, float64: Caffe's SGD, or Kingma & Ba's Adam."""
    weights = [KERNEL.astype(float), BIAS.astype(float)]
    momentum = [np.zeros_like(w) for w in weights]
    square = [np.zeros_like(w) for w in weights]
    for step in range(1, steps + 1):
        residual = 2 * (IMAGES @ weights[0] + weights[1] - LABELS) / LABELS.size
        gradients = [IMAGES.T @ residual + training.weight_decay * weights[0], residual.sum(axis=0)]
        for n, (gradient, factor) in enumerate(
            zip(gradients, (1, training.bias_rate), strict=True)
        ):
            rate = training.learning_rate * factor
            if training.optimizer == "sgd":
                mu = training.momentum
                momentum[n] = mu * momentum[n] - rate * gradient
                ahead = mu * momentum[n] - rate * gradient
                weights[n] += ahead if training.nesterov else momentum[n]
            else:
                momentum[n] = 0.9 * momentum[n] + 0.1 * gradient
                square[n] = 0.999 * square[n] + 0.001 * gradient**2
                mean = momentum[n] / (1 - 0.9**step)
                weights[n] -= rate * mean / (np.sqrt(square[n] / (1 - 0.999**step)) + 1e-7)
    return weights


PLAIN = {"schedule": "constant", "warmup": 0.0}
RECIPES: dict[str, dict[str, Any]] = {
    "adam": {},
    "adam, bias rate and decay": {"bias_rate": 2, "weight_decay": 0.1},
    "sgd, bias rate and decay": {
        **{"optimizer": "sgd", "momentum": 0.9, "bias_rate": 2, "weight_decay": 0.1}
    },
    "nesterov": {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "sgd, four steps per update": {
        **{"optimizer": "sgd", "momentum": 0.99, "bias_rate": 2, "weight_decay": 0.1},
        **{"batch": 1, "accumulate": 4},
    },
    "adam, two steps per update": {"batch": 2, "accumulate": 2, "weight_decay": 0.1},
}


@pytest.mark.parametrize("name", RECIPES)
def test_weights_are_those_of_numpy(name: str) -> None:
    """Accumulating recipes are compared with the same recipe in one batch."""
    training = settings(**PLAIN, **RECIPES[name])
    for got, expected in zip(trained(training), trained_in_numpy(training), strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-4, atol=1e-6)


def build_layered(**changed: Any) -> tuple[keras.Model, Callable[[], None]]:
    """A model of four layers, of which one is frozen, and a function that takes one step."""
    training = settings(**PLAIN, **changed)
    keras.utils.set_random_seed(3)
    frozen, normalised = layers.Dense(3, trainable=False), layers.BatchNormalization(momentum=0.5)
    trunk, head = layers.Dense(4, name="trunk"), layers.Dense(2, name="head")
    model = keras.Sequential([keras.Input((3,)), frozen, normalised, trunk, head])
    model.compile(
        optimizers.build(training, 100), square, jit_compile=keras.backend.backend() == "jax"
    )
    return model, lambda: model.train_on_batch(IMAGES, LABELS)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_average_is_that_of_numpy_and_changes_no_training(accumulate: int) -> None:
    """It starts with the weights after the first update and moves once per update."""
    model, step = build_layered(ema=0.75, accumulate=accumulate)
    plain, step_plain = build_layered(accumulate=accumulate)
    expected: list[np.ndarray] = []
    for number in range(1, 4 * accumulate + 1):
        step()
        step_plain()
        weights = [ops.convert_to_numpy(variable) for variable in model.trainable_variables]
        if number % accumulate == 0:
            before = expected or weights
            pairs = zip(before, weights, strict=True)
            expected = [0.75 * old.astype(float) + 0.25 * new for old, new in pairs]
    raw = model.get_weights()
    for weight, without in zip(raw, plain.get_weights(), strict=True):
        assert weight.tobytes() == without.tobytes()
    with optimizers.averaged(model):
        for variable, average in zip(model.trainable_variables, expected, strict=True):
            np.testing.assert_allclose(variable, average, rtol=1e-5, atol=1e-7)
        for got, weight, variable in zip(model.get_weights(), raw, model.weights, strict=True):
            # Frozen weights and the statistics of batch normalisation are not averaged.
            assert np.array_equal(got, weight) == (not variable.trainable)
    for weight, restored in zip(raw, model.get_weights(), strict=True):
        assert weight.tobytes() == restored.tobytes()


def test_an_average_with_factor_0_is_the_newest_weights() -> None:
    model, step = build_layered(ema=0)
    for _ in range(3):
        step()
    raw = model.get_weights()
    with optimizers.averaged(model):
        for weight, average in zip(raw, model.get_weights(), strict=True):
            assert weight.tobytes() == average.tobytes()


@pytest.mark.parametrize("accumulate", [1, 2])
def test_by_default_the_optimizer_has_the_variables_of_keras_and_finite(accumulate: int) -> None:
    """All of them are part of a checkpoint, by number."""
    variables = [keras.Variable(KERNEL, name="kernel")]
    ours = optimizers.build(settings(accumulate=accumulate), 100)
    steps = accumulate if accumulate > 1 else None
    theirs = keras.optimizers.Adam(ours._learning_rate, gradient_accumulation_steps=steps)
    ours.build(variables)
    theirs.build(variables)
    assert [v.name for v in ours.variables] == [*(v.name for v in theirs.variables), "finite"]
    assert set(ours.rates) == {1.0}


def test_a_rate_multiplies_the_updates_of_its_layers_alone() -> None:
    """Together with the rate of biases; the first step has the same gradients with any rate."""
    sgd = {"optimizer": "sgd", "momentum": 0.5}
    changes = []
    for rate in (None, 0.25):
        model, step = build_layered(**sgd, bias_rate=2)
        if rate:
            optimizers.set_rate(model, ["trunk", "absent"], rate)
        before = [ops.convert_to_numpy(variable) for variable in model.trainable_variables]
        step()
        pairs = zip(model.trainable_variables, before, strict=True)
        changes.append([ops.convert_to_numpy(variable) - old for variable, old in pairs])
    for variable, plain, scaled in zip(model.trainable_variables, *changes, strict=True):
        factor = 0.25 if "trunk" in variable.path else 1
        np.testing.assert_allclose(scaled, factor * plain, rtol=1e-3, atol=1e-7)
        assert np.abs(plain).max() > 1e-4


def gradients(training: Training, labels: np.ndarray) -> np.ndarray:
    """The change of the weights in a step of SGD, with the batches of the settings.

    The model's only weights are the logits: one for each class, the same in each pixel.
    """
    model = keras.Sequential([keras.Input((2, 2, 1)), layers.Conv2D(3, 1, use_bias=False)])
    model.set_weights([np.zeros((1, 1, 1, 3), np.float32)])
    model.compile(optimizers.build(training, 100), losses.build(training, None))
    images = np.ones((*labels.shape, 1), np.float32)
    for first in range(0, len(labels), training.batch):
        members = slice(first, first + training.batch)
        model.train_on_batch(images[members], labels[members])
    return model.get_weights()[0].ravel()


def test_accumulation_weighs_batches_equally_for_means_and_pixels_equally_for_sums() -> None:
    """One pixel of the first image is labelled, and four of the second."""
    labels = np.full((2, 2, 2), IGNORE_INDEX, np.uint8)
    labels[0, 0, 0], labels[1] = 0, 1
    sgd = {**PLAIN, "optimizer": "sgd", "momentum": 0.0, "learning_rate": 1.0}
    one_by_one = {"batch": 1, "accumulate": 2}
    pixel = {0: np.array([2, -1, -1]) / 3, 1: np.array([-1, 2, -1]) / 3}
    for changed, expected in (
        ({"batch": 2}, (pixel[0] + 4 * pixel[1]) / 5),
        (one_by_one, (pixel[0] + pixel[1]) / 2),
        ({"batch": 2, "reduction": "sum"}, pixel[0] + 4 * pixel[1]),
        ({**one_by_one, "reduction": "sum"}, (pixel[0] + 4 * pixel[1]) / 2),
    ):
        training = settings(**sgd, **changed)
        np.testing.assert_allclose(gradients(training, labels), expected, rtol=1e-5)
