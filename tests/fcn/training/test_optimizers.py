"""Against recipes in NumPy, written from the papers' formulas, and against Keras."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from fcn.datasets.shared.dataset import IGNORE_INDEX
from fcn.settings.training import Training
from fcn.training import losses, optimizers

pytestmark = pytest.mark.usefixtures("seeded")
RATE = 1e-2


def settings(**changed: Any) -> Training:
    values = {"epochs": 2, "batch": 4, "learning_rate": RATE, "warmup": 0.25, "translate": 2}
    return Training.model_validate(values | changed)


@pytest.mark.parametrize(("warmup", "top"), [(0.25, 10), (0.0, 0), (0.01, 0), (0.5, 20)])
def test_the_rate_rises_from_0_to_the_highest_and_falls_to_0(warmup: float, top: int) -> None:
    schedule = optimizers.schedule(settings(warmup=warmup), 40)
    rates = [float(schedule(step)) for step in range(41)]
    assert rates[0] == (0 if top else pytest.approx(RATE))
    assert rates[top] == max(rates) == pytest.approx(RATE)
    assert rates[40] == pytest.approx(0, abs=1e-9)
    rise, fall = np.diff(rates[: top + 1]), np.diff(rates[top:])
    np.testing.assert_allclose(rise, RATE / max(top, 1), rtol=1e-4)
    assert (fall < 0).all()
    # Half of a cosine: half way it stands at half the height.
    assert rates[(40 + top) // 2] == pytest.approx(RATE / 2)


def test_a_single_step_has_a_rate() -> None:
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
def test_each_schedule_rises_over_the_warm_up_and_then_takes_its_shape(name: str) -> None:
    changed, shape = SHAPES[name]
    expected = [RATE * step / 10 for step in range(10)]
    expected += list(RATE * shape(np.arange(31) / 30))
    np.testing.assert_allclose(rates(40, **changed), expected, rtol=1e-5, atol=1e-10)
    straight = rates(40, **changed, warmup=0.0)
    np.testing.assert_allclose(straight, RATE * shape(np.arange(41) / 40), rtol=1e-5, atol=1e-10)


def test_the_smallest_published_rate_is_kept() -> None:
    assert rates(9, schedule="constant", warmup=0.0, learning_rate=1e-14)[5] == pytest.approx(1e-14)


STEPS = 5
KERNEL = np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2)
BIAS = np.array([0.3, -0.2], np.float32)
IMAGES = np.linspace(-1, 2, 12, dtype=np.float32).reshape(4, 3)
LABELS = IMAGES[:, :2] ** 2


def square(labels: keras.KerasTensor, outputs: keras.KerasTensor) -> keras.KerasTensor:
    return ops.mean(ops.square(outputs - labels))


def trained(wanted: Training, steps: int = STEPS) -> list[np.ndarray]:
    """Kernel and bias after some steps; each accumulating one sees a part of the batch."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.set_weights([KERNEL, BIAS])
    jit = keras.backend.backend() == "jax"
    model.compile(optimizers.wanted(wanted, 100), square, jit_compile=jit)
    parts = range(wanted.accumulate)
    for _ in range(steps):
        for part in parts:
            some = np.s_[part :: wanted.accumulate]
            model.train_on_batch(IMAGES[some], LABELS[some])
    return model.get_weights()


def descended(wanted: Training, steps: int = STEPS) -> list[np.ndarray]:
    """The same in NumPy, float64: Caffe's SGD, or Kingma & Ba's Adam."""
    weights = [KERNEL.astype(float), BIAS.astype(float)]
    momentum = [np.zeros_like(w) for w in weights]
    square = [np.zeros_like(w) for w in weights]
    for step in range(1, steps + 1):
        wrong = 2 * (IMAGES @ weights[0] + weights[1] - LABELS) / LABELS.size
        gradients = [IMAGES.T @ wrong + wanted.weight_decay * weights[0], wrong.sum(axis=0)]
        for n, (gradient, factor) in enumerate(zip(gradients, (1, wanted.bias_rate), strict=True)):
            rate = wanted.learning_rate * factor
            if wanted.optimizer == "sgd":
                mu = wanted.momentum
                momentum[n] = mu * momentum[n] - rate * gradient
                ahead = mu * momentum[n] - rate * gradient
                weights[n] += ahead if wanted.nesterov else momentum[n]
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
    "sgd, four steps to a move": {
        **{"optimizer": "sgd", "momentum": 0.99, "bias_rate": 2, "weight_decay": 0.1},
        **{"batch": 1, "accumulate": 4},
    },
    "adam, two steps to a move": {"batch": 2, "accumulate": 2, "weight_decay": 0.1},
}


@pytest.mark.parametrize("name", RECIPES)
def test_weights_move_as_in_numpy(name: str) -> None:
    """Accumulating ones are held against the same recipe with all examples in one batch."""
    wanted = settings(**PLAIN, **RECIPES[name])
    for got, expected in zip(trained(wanted), descended(wanted), strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-4, atol=1e-6)


def gradients(wanted: Training, labels: np.ndarray) -> np.ndarray:
    """How far the scores of each pixel moved in a step of SGD, images in batches of the settings.

    Scores are the model's only weights: one for each class, the same in each pixel.
    """
    model = keras.Sequential([keras.Input((2, 2, 1)), layers.Conv2D(3, 1, use_bias=False)])
    model.set_weights([np.zeros((1, 1, 1, 3), np.float32)])
    model.compile(optimizers.wanted(wanted, 100), losses.wanted(wanted, None))
    images = np.ones((*labels.shape, 1), np.float32)
    for first in range(0, len(labels), wanted.batch):
        some = slice(first, first + wanted.batch)
        model.train_on_batch(images[some], labels[some])
    return model.get_weights()[0].ravel()


def test_accumulated_means_weigh_each_batch_alike_and_sums_each_pixel() -> None:
    """One pixel is known of the first image, and four of the second."""
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
        wanted = settings(**sgd, **changed)
        np.testing.assert_allclose(gradients(wanted, labels), expected, rtol=1e-5)
