import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

from fcn.settings.training import Training
from fcn.training import guard, optimizers
from tests.fcn.training.test_jax import QUICK

pytestmark = pytest.mark.usefixtures("seeded")
ROOT = Path(__file__).parents[3]
SETTINGS = Training(epochs=1, batch=4, learning_rate=1e-2, warmup=0.0, translate=0)
IMAGES = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)


def compiled(loss: object, optimizer: keras.optimizers.Optimizer) -> keras.Model:
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(5, "relu"), layers.Dense(2)])
    model.compile(optimizer, loss, jit_compile=keras.backend.backend() == "jax")
    return model


def step(model: keras.Model, labels: np.ndarray) -> float:
    return guard.step(model, IMAGES, labels, SETTINGS, lambda: "step 7; no checkpoint was saved")


def square(labels: keras.KerasTensor, outputs: keras.KerasTensor) -> keras.KerasTensor:
    return ops.mean(ops.square(outputs - labels))


KINDS = {
    "adam": (optimizers.Adam, keras.optimizers.Adam, {}),
    "heavy momentum": (optimizers.SGD, keras.optimizers.SGD, {"momentum": 0.99}),
    "nesterov": (optimizers.SGD, keras.optimizers.SGD, {"momentum": 0.9, "nesterov": True}),
    "accumulating with momentum": (
        optimizers.SGD,
        keras.optimizers.SGD,
        {"momentum": 0.9, "gradient_accumulation_steps": 2},
    ),
    "averaging while accumulating": (
        optimizers.Adam,
        keras.optimizers.Adam,
        {"use_ema": True, "ema_momentum": 0.9, "gradient_accumulation_steps": 2},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_with_finite_numbers_the_bits_are_those_of_keras(kind: str) -> None:
    guarded, plain, options = KINDS[kind]
    ours = compiled(square, guarded(1e-2, **options))
    theirs = compiled(square, plain(1e-2, **options))
    for _ in range(5):
        assert step(ours, IMAGES[:, :2]) == float(theirs.train_on_batch(IMAGES, IMAGES[:, :2]))
    for weight, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert weight.tobytes() == expected.tobytes()


def not_a_number(labels: keras.KerasTensor, outputs: keras.KerasTensor) -> keras.KerasTensor:
    return square(labels, outputs) * ops.where(ops.all(labels == 0), np.nan, 1.0)


def infinite(labels: keras.KerasTensor, outputs: keras.KerasTensor) -> keras.KerasTensor:
    """Its gradients are those of `square`: only the loss itself is not finite."""
    return square(labels, outputs) + ops.where(ops.all(labels == 0), np.inf, 0.0)


def steep(labels: keras.KerasTensor, outputs: keras.KerasTensor) -> keras.KerasTensor:
    """Where all labels are 0, a finite loss with an infinite gradient: that of a root at 0."""
    return square(labels, outputs) + ops.mean(
        ops.sqrt(ops.abs(outputs * ops.mean(ops.abs(labels))))
    )


BROKEN = [
    (not_a_number, "the loss is nan"),
    (infinite, "the loss is inf"),
    (steep, "a gradient is not a finite number"),
]


def state(model: keras.Model) -> list[np.ndarray]:
    """All that a step changes, without `finite`."""
    variables = [*model.variables, *model.optimizer.variables]
    return [ops.convert_to_numpy(v) for v in variables if v is not model.optimizer.finite]


@pytest.mark.parametrize(
    ("loss", "problem", "kind"),
    [
        *((*broken, "accumulating with momentum") for broken in BROKEN),
        *((*BROKEN[0], kind) for kind in ("adam", "averaging while accumulating")),
    ],
)
def test_a_step_that_is_not_finite_changes_nothing(loss: object, problem: str, kind: str) -> None:
    """Weights, their average, momentum, accumulated gradients and the step counter."""
    guarded, _, options = KINDS[kind]
    model = compiled(loss, guarded(1e-2, **options))
    for _ in range(3):
        step(model, IMAGES[:, :2])
    before = state(model)
    with pytest.raises(
        ValueError, match=rf"^{problem}, training .* at step 7; no checkpoint was saved; "
    ):
        step(model, np.zeros((4, 2), np.float32))
    for value, old in zip(state(model), before, strict=True):
        np.testing.assert_array_equal(value, old)
    step(model, IMAGES[:, :2])
    assert any((value != old).any() for value, old in zip(state(model), before, strict=True))


def test_too_little_memory_names_the_request_and_the_settings_to_reduce() -> None:
    def huge(labels: keras.KerasTensor, outputs: keras.KerasTensor) -> keras.KerasTensor:
        wide = ops.broadcast_to(ops.sum(outputs), (2**22, 2**21))  # 32 TiB
        return ops.sum(ops.square(wide)) + ops.sum(labels)

    model = compiled(huge, optimizers.Adam(1e-2))
    with pytest.raises(
        ValueError, match=r"^not enough memory to train sequential.* on a batch of 4 x 3 "
    ) as caught:
        step(model, IMAGES[:, :2])
    for setting in ("training.batch (it is 4)", "network.width", "precision: mixed_bfloat16"):
        assert setting in str(caught.value)
    assert "at step 7" in str(caught.value)


def test_other_errors_are_raised_unchanged() -> None:
    model = compiled(square, optimizers.Adam(1e-2))
    with pytest.raises(ValueError, match="input shape"):
        guard.step(model, IMAGES[:, :2], IMAGES[:, :2], SETTINGS, lambda: "")


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"), True),
        (RuntimeError("INVALID_ARGUMENT: shapes"), False),
    ],
)
def test_out_of_memory_errors_are_recognised(error: Exception, memory: bool) -> None:
    assert guard.out_of_memory(error) == memory


ON_JAX = """
import sys
from pathlib import Path
sys.modules |= dict.fromkeys(["matplotlib", "sklearn"])  # Keras would import them.
import keras
from tests.fcn.training import test_guard, test_loop, test_optimizers
assert keras.config.backend() == "jax"
for kind in ("adam", "averaging while accumulating"):
    test_guard.test_with_finite_numbers_the_bits_are_those_of_keras(kind)
for loss, problem in test_guard.BROKEN:
    kind = "accumulating with momentum"
    test_guard.test_a_step_that_is_not_finite_changes_nothing(loss, problem, kind)
test_guard.test_a_step_that_is_not_finite_changes_nothing(
    *test_guard.BROKEN[0], "averaging while accumulating"
)
for name in ("adam, bias rate and decay", "sgd, four steps per update"):
    test_optimizers.test_weights_are_those_of_numpy(name)
test_optimizers.test_the_average_is_that_of_numpy_and_changes_no_training(2)
test_optimizers.test_a_rate_multiplies_the_updates_of_its_layers_alone()
test_loop.test_a_killed_training_resumes_and_ends_with_the_same_bits(
    5, 3, "best", Path(sys.argv[1])
)
test_loop.test_a_training_killed_while_accumulating_ends_with_the_same_bits(
    3, test_loop.HEAVY, Path(sys.argv[1]) / "accumulating"
)
test_loop.test_a_killed_training_resumes_with_the_same_average("last", Path(sys.argv[1]) / "ema")
"""


def test_on_jax_a_step_is_guarded_and_a_killed_training_resumes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ON_JAX, tmp_path],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICK},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
