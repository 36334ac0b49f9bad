import math
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from fcn.network import build
from fcn.records.sample import IGNORE_INDEX
from fcn.settings.common import Checkpoints
from fcn.settings.network import Network
from fcn.settings.training import Training
from fcn.training import checkpoints, inputs, loop, losses, optimizers
from tests.instruction_set import needs_bfloat16

pytestmark = pytest.mark.usefixtures("seeded")
CLASSES = 3
RATE = 1e-2


def settings(**changed: Any) -> Training:
    values = {"epochs": 2, "batch": 4, "learning_rate": RATE, "warmup": 0.25, "translate": 2}
    return Training.model_validate(values | changed)


def source(count: int) -> inputs.MemorySource:
    """Squares of two classes; the brightness is the class."""
    rng = np.random.default_rng(3)
    samples = []
    for number in range(count):
        label = np.zeros((24, 28), np.uint8)
        top, left = rng.integers(0, 14, size=2)
        label[top : top + 10, left : left + 10] = 1 + number % 2
        samples.append({"image": label[..., None] * np.uint8(120), "label": label})
    return inputs.MemorySource(samples)


def network(tiny: Network, dropout: float = 0.0) -> keras.Model:
    keras.utils.set_random_seed(1)
    shape = tiny.model_copy(update={"dropout": dropout})
    return build.network("fcn16s", "vgg16", shape, 1, CLASSES)


def log_nothing(_: Mapping[str, float], __: int) -> None:
    pass


NO_CALLBACKS = loop.Callbacks(lambda _, __: {}, log_nothing)


def fit(model: keras.Model, training: Training) -> list[loop.Epoch]:
    """Train on ten samples: two batches of four in an epoch, and two samples left over."""
    batches = inputs.batches(source(10), training, seed=1)
    return loop.fit(model, losses.pixel_cross_entropy, batches, training, NO_CALLBACKS)


def same(one: keras.Model, two: keras.Model) -> bool:
    return all(
        weight.tobytes() == twin.tobytes()
        for weight, twin in zip(one.get_weights(), two.get_weights(), strict=True)
    )


def test_a_training_equals_its_batches_trained_by_hand() -> None:
    training = settings(epochs=3)
    model, by_hand = small(), small()
    epochs = fit(model, training)
    batches = inputs.batches(source(10), training, seed=1)
    steps = len(batches)
    rate = optimizers.schedule(training, steps)
    by_hand.compile(keras.optimizers.Adam(rate), losses.pixel_cross_entropy)
    expected = []
    for step in range(steps):
        by_hand.reset_metrics()
        expected.append(float(by_hand.train_on_batch(*batches[step])))
    assert same(model, by_hand)
    assert steps == 6
    assert [epoch.step for epoch in epochs] == [2, 4, 6]
    for number, epoch in enumerate(epochs):
        last = 2 * number + 1
        assert epoch.loss == pytest.approx(np.mean(expected[last - 1 : last + 1]), rel=1e-5)
        assert epoch.learning_rate == pytest.approx(float(rate(last)))
    assert int(model.optimizer.iterations) == steps


def test_the_same_seed_gives_the_same_weights_bit_for_bit(tiny: Network) -> None:
    first, again = network(tiny, dropout=0.5), network(tiny, dropout=0.5)
    assert same(first, again)
    for model in (first, again):
        keras.utils.set_random_seed(2)
        fit(model, settings())
    assert same(first, again)
    assert not same(first, network(tiny, dropout=0.5))


def test_each_epoch_is_evaluated_with_its_last_weights_and_logged_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOG_SECONDS", 1e9)
    model = small()
    events: list[object] = []

    def evaluate(network: keras.Model, epoch: int) -> dict[str, float]:
        events.append(f"evaluated {epoch}")
        return {"val_size": size(network)}

    training = settings(epochs=3)
    batches = inputs.batches(source(8), training, seed=1)
    callbacks = loop.Callbacks(evaluate, lambda *logged: events.append(logged))
    epochs = loop.fit(model, losses.pixel_cross_entropy, batches, training, callbacks)
    logged = [(epoch.values(), epoch.step) for epoch in epochs]
    assert events == ["evaluated 1", logged[0], "evaluated 2", logged[1], "evaluated 3", logged[2]]
    first, second, third = epochs
    assert first.scores != second.scores
    assert third.scores == {"val_size": size(model)}
    assert third.row() == {
        "epoch": 3,
        "step": 6,
        "loss": third.loss,
        "learning_rate": third.learning_rate,
        "val_size": third.scores["val_size"],
    }
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("small  epoch 1/3  step 2/6  loss ")
    assert "epoch 3/3  step 6/6" in lines[2]
    assert f"0 s left  val_size {third.scores['val_size']:.3f}" in lines[2]


def size(model: keras.Model) -> float:
    return float(abs(model.get_weights()[0]).sum())


def test_between_epochs_loss_speed_and_memory_are_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "LOG_SECONDS", 0)
    logged: list[tuple[int, dict[str, float]]] = []
    batches = inputs.batches(source(8), settings(), seed=1)
    loop.fit(
        small(),
        losses.pixel_cross_entropy,
        batches,
        settings(),
        loop.Callbacks(lambda _, __: {}, lambda values, step: logged.append((step, dict(values)))),
    )
    between = [(step, values) for step, values in logged if "batch_loss" in values]
    assert [step for step, _ in between] == [1, 2, 3, 4]
    assert all(values["images_per_second"] > 0 for _, values in between)
    assert all(values["memory_bytes"] > 1e7 for _, values in between)


class Killed(BaseException):
    """Ends a training in the middle, like a signal."""


def small() -> keras.Model:
    """A network with dropout that traces quickly."""
    keras.utils.set_random_seed(1)
    images = keras.Input((None, None, 1), name="images")
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(images / 255)
    logits = keras.layers.Conv2D(CLASSES, 1)(keras.layers.Dropout(0.5)(x))
    return keras.Model(images, logits, name="small")


def open_store(folder: Path, steps: int) -> checkpoints.CheckpointStore:
    return checkpoints.CheckpointStore("toy", "0" * 64, Checkpoints(steps=steps), folder)


FOUR_EPOCHS = settings(epochs=4)


def trained(
    folder: Path, training: Training, every: int, stop: int = 99
) -> tuple[keras.Model, list[loop.Epoch] | None]:
    """Train from the newest checkpoint in `folder`; die after `stop` steps."""
    model = small()
    train, done = model.train_on_batch, []

    def train_or_die(images: np.ndarray, labels: np.ndarray) -> float:
        if len(done) == stop:
            raise Killed
        done.append(1)
        return float(train(images, labels))

    model.train_on_batch = train_or_die
    keras.utils.set_random_seed(stop)  # global random state must not matter
    batches = inputs.batches(source(8), training, seed=1)
    callbacks = loop.Callbacks(lambda _, epoch: {"score": SCORES[epoch - 1]}, log_nothing)
    store = open_store(folder, every)
    try:
        loss = losses.pixel_cross_entropy
        return model, loop.fit(model, loss, batches, training, callbacks, store)
    except Killed:
        return model, None


SCORES = (0.2, 0.5, 0.3, 0.4)


@cache
def unkilled(keep: str) -> tuple[keras.Model, list[loop.Epoch] | None]:
    """Four epochs that nobody kills."""
    with tempfile.TemporaryDirectory() as folder:
        return trained(Path(folder), FOUR_EPOCHS.model_copy(update={"keep": keep}), every=3)


@pytest.mark.parametrize("keep", ["last", "best"])
@pytest.mark.parametrize(("stop", "every"), [(1, 1), (5, 3), (7, 1), (2, 5)])
def test_a_killed_training_resumes_and_ends_with_the_same_bits(
    stop: int, every: int, keep: str, tmp_path: Path
) -> None:
    training = FOUR_EPOCHS.model_copy(update={"keep": keep})
    whole, curve = unkilled(keep)
    killed, nothing = trained(tmp_path / "killed", training, every, stop)
    assert nothing is None
    assert not same(whole, killed)
    again, curve_again = trained(tmp_path / "killed", training, every)
    assert same(whole, again)
    assert curve == curve_again
    assert len(curve or []) == 4


HEAVY = {"optimizer": "sgd", "momentum": 0.99, "reduction": "sum", "learning_rate": 1e-6}


@pytest.mark.parametrize(("stop", "recipe"), [(3, HEAVY), (6, {})], ids=["heavy momentum", "adam"])
def test_a_training_killed_while_accumulating_ends_with_the_same_bits(
    stop: int, recipe: dict[str, Any], tmp_path: Path
) -> None:
    """Two batches per weight update; killed after the first batch, or between two updates."""
    training = settings(epochs=4, batch=2, accumulate=2, flip=True, scale=(0.8, 1.2), **recipe)
    whole, curve = trained(tmp_path / "whole", training, every=3)
    assert trained(tmp_path / "killed", training, 1, stop)[1] is None
    again, curve_again = trained(tmp_path / "killed", training, every=1)
    assert same(whole, again)
    assert curve == curve_again
    assert (curve or [])[-1].step == 16
    assert not same(whole, small())


@pytest.mark.parametrize("keep", ["last", "best"])
def test_a_killed_training_resumes_with_the_same_average(keep: str, tmp_path: Path) -> None:
    """Killed while it accumulates gradients. The training itself does not use the average."""
    plain = settings(epochs=4, batch=2, accumulate=2)
    training = plain.model_copy(update={"keep": keep, "ema": 0.9})
    whole, curve = trained(tmp_path / "whole", training, every=9)
    assert trained(tmp_path / "killed", training, every=1, stop=7)[1] is None
    again, curve_again = trained(tmp_path / "killed", training, every=9)
    assert same(whole, again)
    assert curve == curve_again
    without, curve_without = trained(tmp_path / "without", plain, every=99)
    assert not same(whole, without)
    assert curve == curve_without  # the losses; SCORES does not depend on the weights


def test_validation_and_the_saved_model_use_the_average() -> None:
    validated: list[list[np.ndarray]] = []

    def evaluate(network: keras.Model, _: int) -> dict[str, float]:
        validated.append(network.get_weights())
        return {"score": -len(validated)}

    training = settings(ema=0.9)
    batches = inputs.batches(source(8), training, seed=1)
    callbacks = loop.Callbacks(evaluate, log_nothing)
    for keep, epoch in (("last", 1), ("best", 0)):
        model = small()
        validated.clear()
        recipe = training.model_copy(update={"keep": keep})
        loop.fit(model, losses.pixel_cross_entropy, batches, recipe, callbacks)
        for weight, average in zip(model.get_weights(), validated[epoch], strict=True):
            assert weight.tobytes() == average.tobytes()
    without = small()
    loop.fit(without, losses.pixel_cross_entropy, batches, settings(), callbacks)
    assert not same(model, without)


def test_with_accumulation_weights_change_only_at_every_nth_step(tmp_path: Path) -> None:
    training = settings(epochs=1, batch=2, accumulate=2)
    changed = []
    for stop in range(1, 4):
        model, _ = trained(tmp_path / str(stop), training, every=9, stop=stop)
        changed.append(not same(model, small()))
    assert changed == [False, True, True]


def test_images_of_several_sizes_are_trained_with_batch_1() -> None:
    """The published recipe: one image per step; learning rate 1e-10, sum, momentum 0.99."""
    samples = [
        {
            "image": np.full((8 + n, 20 - n, 1), 99, np.uint8),
            "label": np.full((8 + n, 20 - n), n % 3),
        }
        for n in range(6)
    ]
    training = settings(
        **{**HEAVY, "learning_rate": 1e-10},
        **{"batch": 1, "translate": 0, "warmup": 0.0, "schedule": "constant"},
        **{"bias_rate": 2, "weight_decay": 5e-4},
    )
    batches = inputs.batches(inputs.MemorySource(samples), training, seed=1)
    model = small()
    loss = losses.build(training, None)
    epochs = loop.fit(model, loss, batches, training, NO_CALLBACKS)
    assert [epoch.step for epoch in epochs] == [6, 12]
    assert epochs[0].loss > 50  # summed over each image, not per pixel
    assert epochs[0].learning_rate == pytest.approx(1e-10)
    assert not same(model, small())


def test_patience_counts_the_epochs_before_the_kill(tmp_path: Path) -> None:
    training = FOUR_EPOCHS.model_copy(update={"patience": 1})
    whole, curve = trained(tmp_path / "whole", training, every=3)
    trained(tmp_path / "killed", training, every=1, stop=5)
    again, curve_again = trained(tmp_path / "killed", training, every=1)
    assert same(whole, again)
    assert curve == curve_again
    assert len(curve or []) == 3


def test_a_finished_training_that_is_started_again_takes_no_step(tmp_path: Path) -> None:
    whole, curve = trained(tmp_path, FOUR_EPOCHS, every=100)
    again, curve_again = trained(tmp_path, FOUR_EPOCHS, every=100, stop=0)
    assert same(whole, again)
    assert curve == curve_again


def test_a_resumed_training_logs_the_earlier_epochs_too(tmp_path: Path) -> None:
    trained(tmp_path, FOUR_EPOCHS, every=1, stop=5)
    logged: list[int] = []
    loop.fit(
        small(),
        losses.pixel_cross_entropy,
        inputs.batches(source(8), FOUR_EPOCHS, seed=1),
        FOUR_EPOCHS,
        loop.Callbacks(
            lambda _, __: {},
            lambda values, step: logged.append(step) if "learning_rate" in values else None,
        ),
        open_store(tmp_path, 1),
    )
    assert logged == [2, 4, 6, 8]


def test_a_checkpoint_holds_all_that_a_step_changes(tiny: Network) -> None:
    model = network(tiny, dropout=0.5)
    model.compile(keras.optimizers.Adam(), losses.pixel_cross_entropy)
    model.optimizer.build(model.trainable_variables)
    state = loop._variables(model)
    states = [v for v in model.variables if "seed_generator_state" in v.path]
    assert len(states) == 2
    held = {id(variable) for variable in state.values()}
    for variable in [*model.weights, *states, *model.optimizer.variables]:
        assert id(variable) in held


def test_patience_stops_the_training_and_the_best_weights_are_kept() -> None:
    scores = iter([0.1, 0.5, 0.5, 0.4, 0.9])
    weights: list[list[np.ndarray]] = []

    def evaluate(network: keras.Model, _: int) -> dict[str, float]:
        weights.append(network.get_weights())
        return {"score": next(scores)}

    training = settings(epochs=5).model_copy(update={"patience": 2, "keep": "best"})
    batches = inputs.batches(source(8), training, seed=1)
    model = small()
    epochs = loop.fit(
        model,
        losses.pixel_cross_entropy,
        batches,
        training,
        loop.Callbacks(evaluate, log_nothing),
    )
    assert [epoch.scores["score"] for epoch in epochs] == [0.1, 0.5, 0.5, 0.4]
    for weight, best in zip(model.get_weights(), weights[1], strict=True):
        np.testing.assert_array_equal(weight, best)


def test_without_patience_it_trains_to_the_end_and_keeps_the_last_weights() -> None:
    training = settings(epochs=3)
    batches = inputs.batches(source(8), training, seed=1)
    model, without_score = small(), small()
    callbacks = loop.Callbacks(lambda _, epoch: {"score": -epoch}, log_nothing)
    loop.fit(model, losses.pixel_cross_entropy, batches, training, callbacks)
    loop.fit(without_score, losses.pixel_cross_entropy, batches, training, NO_CALLBACKS)
    assert same(model, without_score)


def test_a_loss_that_is_not_finite_names_step_and_samples_and_keeps_the_checkpoint(
    tmp_path: Path,
) -> None:
    broken = source(8)
    broken.samples[3]["label"][:] = IGNORE_INDEX

    def loss(labels: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        usual = losses.pixel_cross_entropy(labels, logits)
        return usual * ops.where(ops.any(labels == IGNORE_INDEX), np.nan, 1.0)

    training = settings(translate=0, batch=2, epochs=1)
    batches = inputs.batches(broken, training, seed=1)
    numbers = inputs.sample_numbers(8, training, 1)
    step = next(n for n in range(1, 5) if 3 in numbers[n - 1])
    assert step > 1, "choose another seed: nothing is saved before the first step"
    model = small()
    store = open_store(tmp_path, 1)
    with pytest.raises(
        ValueError, match=rf"the loss is nan, training small at step {step} with "
    ) as caught:
        loop.fit(
            model,
            loss,
            batches,
            training,
            loop.Callbacks(
                lambda _, __: {},
                log_nothing,
                lambda step: [f"sample-{number}" for number in numbers[step - 1]],
            ),
            store,
        )
    assert "sample-3" in str(caught.value)
    assert f"the checkpoint at step {step - 1} is kept" in str(caught.value)
    checkpoint = open_store(tmp_path, 1).latest
    assert checkpoint is not None
    assert checkpoint.step == step - 1
    for number, variable in enumerate(model.variables):
        if variable.trainable:
            np.testing.assert_array_equal(checkpoint.arrays[f"model-{number:04d}"], variable)


def test_a_learning_rate_far_too_high_is_named() -> None:
    training = settings(epochs=8, warmup=0.0, learning_rate=1e20)
    with pytest.raises(ValueError, match=r"at step \d+; no checkpoint .*rate below 1e\+20"):
        fit(small(), training)


@needs_bfloat16
@pytest.mark.usefixtures("half_precision")
def test_in_half_precision_weights_and_loss_stay_float32(tiny: Network) -> None:
    model = network(tiny)
    epochs = fit(model, settings(epochs=8, warmup=0.1, learning_rate=3e-3))
    assert model.get_layer("conv1_1").compute_dtype == "bfloat16"
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.output.dtype == "float32"
    assert epochs[0].loss == pytest.approx(math.log(CLASSES), rel=0.1)
    assert epochs[-1].loss < 0.7 * epochs[0].loss
