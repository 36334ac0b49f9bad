import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from fcn.datasets.shared.dataset import IGNORE_INDEX
from fcn.network import build
from fcn.settings.common import Checkpoints
from fcn.settings.network import Network
from fcn.settings.training import Training
from fcn.training import checkpoints, inputs, loop, losses, optimizers

pytestmark = pytest.mark.usefixtures("seeded")
CLASSES = 3
RATE = 1e-2


def settings(**changed: Any) -> Training:
    values = {"epochs": 2, "batch": 4, "learning_rate": RATE, "warmup": 0.25, "translate": 2}
    return Training.model_validate(values | changed)


def source(count: int) -> inputs.InMemory:
    """Squares of two classes, as bright as their class."""
    rng = np.random.default_rng(3)
    examples = []
    for number in range(count):
        label = np.zeros((24, 28), np.uint8)
        top, left = rng.integers(0, 14, size=2)
        label[top : top + 10, left : left + 10] = 1 + number % 2
        examples.append({"image": label[..., None] * np.uint8(120), "label": label})
    return inputs.InMemory(examples)


def network(tiny: Network, dropout: float = 0.0) -> keras.Model:
    keras.utils.set_random_seed(1)
    shape = tiny.model_copy(update={"dropout": dropout})
    return build.network("fcn16s", "vgg16", shape, 1, CLASSES)


def unmeasured(_: keras.Model, __: int) -> dict[str, float]:
    return {}


def unseen(_: Mapping[str, float], __: int) -> None:
    pass


def fit(model: keras.Model, wanted: Training) -> list[loop.Epoch]:
    """Train on ten examples: two batches of four in an epoch, and two examples left over."""
    batches = inputs.batches(source(10), wanted, seed=1)
    return loop.fit(model, losses.pixel_cross_entropy, batches, wanted, unmeasured, unseen)


def same(one: keras.Model, two: keras.Model) -> bool:
    return all(
        weight.tobytes() == twin.tobytes()
        for weight, twin in zip(one.get_weights(), two.get_weights(), strict=True)
    )


def test_a_training_is_its_batches_one_after_the_other(tiny: Network) -> None:
    wanted = settings(epochs=3)
    model, by_hand = network(tiny), network(tiny)
    epochs = fit(model, wanted)
    batches = inputs.batches(source(10), wanted, seed=1)
    steps = len(batches)
    rate = optimizers.schedule(wanted, steps)
    by_hand.compile(keras.optimizers.Adam(rate), losses.pixel_cross_entropy)
    found = []
    for step in range(steps):
        by_hand.reset_metrics()
        found.append(float(by_hand.train_on_batch(*batches[step])))
    assert same(model, by_hand)
    assert steps == 6
    assert [epoch.step for epoch in epochs] == [2, 4, 6]
    for number, epoch in enumerate(epochs):
        last = 2 * number + 1
        assert epoch.loss == pytest.approx(np.mean(found[last - 1 : last + 1]), rel=1e-5)
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


def test_each_epoch_is_measured_with_the_weights_it_ended_with_and_seen_at_once(
    tiny: Network, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TELL_SECONDS", 1e9)
    model = network(tiny)
    happened: list[object] = []

    def measure(network: keras.Model, epoch: int) -> dict[str, float]:
        happened.append(f"measured {epoch}")
        return {"val_size": size(network)}

    wanted = settings(epochs=3)
    batches = inputs.batches(source(8), wanted, seed=1)
    epochs = loop.fit(
        model, losses.pixel_cross_entropy, batches, wanted, measure, lambda *it: happened.append(it)
    )
    told = [(epoch.values(), epoch.step) for epoch in epochs]
    assert happened == ["measured 1", told[0], "measured 2", told[1], "measured 3", told[2]]
    first, second, third = epochs
    assert first.measured != second.measured
    assert third.measured == {"val_size": size(model)}
    assert third.row() == {
        "epoch": 3,
        "step": 6,
        "loss": third.loss,
        "learning_rate": third.learning_rate,
        "val_size": third.measured["val_size"],
    }
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert said[0].startswith("fcn16s  epoch 1/3  step 2/6  loss ")
    assert "epoch 3/3  step 6/6" in said[2]
    assert f"0 s left  val_size {third.measured['val_size']:.3f}" in said[2]


def size(model: keras.Model) -> float:
    return float(abs(model.get_layer("score_fr").get_weights()[0]).sum())


def test_between_epochs_loss_speed_and_memory_are_told(
    tiny: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TELL_SECONDS", 0)
    told: list[tuple[int, dict[str, float]]] = []
    batches = inputs.batches(source(8), settings(), seed=1)
    loop.fit(
        network(tiny),
        losses.pixel_cross_entropy,
        batches,
        settings(),
        unmeasured,
        lambda values, step: told.append((step, dict(values))),
    )
    pulses = [(step, values) for step, values in told if "batch_loss" in values]
    assert [step for step, _ in pulses] == [1, 2, 3, 4]
    assert all(values["images_per_second"] > 0 for _, values in pulses)
    assert all(values["memory_bytes"] > 1e7 for _, values in pulses)


class Killed(BaseException):
    """Ends a training in the middle, as a signal does."""


def small() -> keras.Model:
    """A network with dropout that is quickly traced."""
    keras.utils.set_random_seed(1)
    images = keras.Input((None, None, 1), name="images")
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(images / 255)
    logits = keras.layers.Conv2D(CLASSES, 1)(keras.layers.Dropout(0.5)(x))
    return keras.Model(images, logits, name="small")


def kept_place(folder: Path, steps: int) -> checkpoints.Place:
    return checkpoints.Place("toy", "0" * 64, Checkpoints(steps=steps), folder)


FOUR_EPOCHS = settings(epochs=4)


def trained(
    folder: Path, wanted: Training, every: int, stop: int = 99
) -> tuple[keras.Model, list[loop.Epoch] | None]:
    """Train from what a place has; die after `stop` steps."""
    model = small()
    train, done = model.train_on_batch, []

    def counted(images: np.ndarray, labels: np.ndarray) -> float:
        if len(done) == stop:
            raise Killed
        done.append(1)
        return float(train(images, labels))

    model.train_on_batch = counted
    keras.utils.set_random_seed(stop)  # no state outside the training may matter
    batches = inputs.batches(source(8), wanted, seed=1)
    measure = lambda network, epoch: {"score": SCORES[epoch - 1]}  # noqa: E731
    place = kept_place(folder, every)
    try:
        loss = losses.pixel_cross_entropy
        return model, loop.fit(model, loss, batches, wanted, measure, unseen, place)
    except Killed:
        return model, None


SCORES = (0.2, 0.5, 0.3, 0.4)


@pytest.mark.parametrize("keep", ["last", "best"])
@pytest.mark.parametrize(("stop", "every"), [(1, 1), (5, 3), (7, 1), (2, 5)])
def test_killed_and_started_again_it_ends_with_the_same_bits(
    stop: int, every: int, keep: str, tmp_path: Path
) -> None:
    wanted = FOUR_EPOCHS.model_copy(update={"keep": keep})
    whole, curve = trained(tmp_path / "whole", wanted, every=3)
    killed, nothing = trained(tmp_path / "killed", wanted, every, stop)
    assert nothing is None
    assert not same(whole, killed)
    again, curve_again = trained(tmp_path / "killed", wanted, every)
    assert same(whole, again)
    assert curve == curve_again
    assert len(curve or []) == 4


HEAVY = {"optimizer": "sgd", "momentum": 0.99, "reduction": "sum", "learning_rate": 1e-6}


@pytest.mark.parametrize(("stop", "recipe"), [(3, HEAVY), (6, {})], ids=["heavy momentum", "adam"])
def test_killed_between_two_moves_it_ends_with_the_same_bits(
    stop: int, recipe: dict[str, Any], tmp_path: Path
) -> None:
    """Two batches to a move; killed after the first of them, or between two moves."""
    wanted = settings(epochs=4, batch=2, accumulate=2, flip=True, scale=(0.8, 1.2), **recipe)
    whole, curve = trained(tmp_path / "whole", wanted, every=3)
    assert trained(tmp_path / "killed", wanted, 1, stop)[1] is None
    again, curve_again = trained(tmp_path / "killed", wanted, every=1)
    assert same(whole, again)
    assert curve == curve_again
    assert (curve or [])[-1].step == 16
    assert not same(whole, small())


def test_with_accumulation_weights_move_only_at_every_nth_step(tmp_path: Path) -> None:
    wanted = settings(epochs=1, batch=2, accumulate=2)
    moved = []
    for stop in range(1, 4):
        model, _ = trained(tmp_path / str(stop), wanted, every=9, stop=stop)
        moved.append(not same(model, small()))
    assert moved == [False, True, True]


def test_images_of_any_sizes_are_trained_on_one_by_one() -> None:
    """The published recipe: one image to a step, as it is; 1e-10, summed, momentum 0.99."""
    examples = [
        {
            "image": np.full((8 + n, 20 - n, 1), 99, np.uint8),
            "label": np.full((8 + n, 20 - n), n % 3),
        }
        for n in range(6)
    ]
    wanted = settings(
        **{**HEAVY, "learning_rate": 1e-10},
        **{"batch": 1, "translate": 0, "warmup": 0.0, "schedule": "constant"},
        **{"bias_rate": 2, "weight_decay": 5e-4},
    )
    batches = inputs.batches(inputs.InMemory(examples), wanted, seed=1)
    model = small()
    loss = losses.wanted(wanted, None)
    epochs = loop.fit(model, loss, batches, wanted, unmeasured, unseen)
    assert [epoch.step for epoch in epochs] == [6, 12]
    assert epochs[0].loss > 50  # of each image, not of a pixel
    assert epochs[0].learning_rate == pytest.approx(1e-10)
    assert not same(model, small())


def test_killed_while_it_waits_for_a_better_score_it_waits_no_longer(tmp_path: Path) -> None:
    wanted = FOUR_EPOCHS.model_copy(update={"patience": 1})
    whole, curve = trained(tmp_path / "whole", wanted, every=3)
    trained(tmp_path / "killed", wanted, every=1, stop=5)
    again, curve_again = trained(tmp_path / "killed", wanted, every=1)
    assert same(whole, again)
    assert curve == curve_again
    assert len(curve or []) == 3


def test_a_finished_training_that_is_started_again_trains_nothing(tmp_path: Path) -> None:
    whole, curve = trained(tmp_path, FOUR_EPOCHS, every=100)
    again, curve_again = trained(tmp_path, FOUR_EPOCHS, every=100, stop=0)
    assert same(whole, again)
    assert curve == curve_again


def test_a_training_that_goes_on_tells_the_epochs_before_as_well(tmp_path: Path) -> None:
    trained(tmp_path, FOUR_EPOCHS, every=1, stop=5)
    told: list[int] = []
    loop.fit(
        small(),
        losses.pixel_cross_entropy,
        inputs.batches(source(8), FOUR_EPOCHS, seed=1),
        FOUR_EPOCHS,
        unmeasured,
        lambda values, step: told.append(step) if "learning_rate" in values else None,
        kept_place(tmp_path, 1),
    )
    assert told == [2, 4, 6, 8]


def test_all_that_a_step_changes_is_in_a_checkpoint(tiny: Network) -> None:
    model = network(tiny, dropout=0.5)
    model.compile(keras.optimizers.Adam(), losses.pixel_cross_entropy)
    model.optimizer.build(model.trainable_variables)
    state = loop._variables(model)
    states = [v for v in model.variables if "seed_generator_state" in v.path]
    assert len(states) == 2
    held = {id(variable) for variable in state.values()}
    for variable in [*model.weights, *states, *model.optimizer.variables]:
        assert id(variable) in held


def test_with_the_score_falling_it_stops_and_the_best_weights_are_kept() -> None:
    scores = iter([0.1, 0.5, 0.5, 0.4, 0.9])
    weights: list[list[np.ndarray]] = []

    def measure(network: keras.Model, _: int) -> dict[str, float]:
        weights.append(network.get_weights())
        return {"score": next(scores)}

    wanted = settings(epochs=5).model_copy(update={"patience": 2, "keep": "best"})
    batches = inputs.batches(source(8), wanted, seed=1)
    model = small()
    epochs = loop.fit(model, losses.pixel_cross_entropy, batches, wanted, measure, unseen)
    assert [epoch.measured["score"] for epoch in epochs] == [0.1, 0.5, 0.5, 0.4]
    for weight, best in zip(model.get_weights(), weights[1], strict=True):
        np.testing.assert_array_equal(weight, best)


def test_without_patience_it_trains_to_the_end_and_keeps_the_last() -> None:
    wanted = settings(epochs=3)
    batches = inputs.batches(source(8), wanted, seed=1)
    model, by_itself = small(), small()
    loop.fit(model, losses.pixel_cross_entropy, batches, wanted, lambda _, n: {"score": -n}, unseen)
    loop.fit(by_itself, losses.pixel_cross_entropy, batches, wanted, unmeasured, unseen)
    assert same(model, by_itself)


def test_what_is_not_finite_is_named_by_step_and_examples_and_the_checkpoint_stays(
    tmp_path: Path,
) -> None:
    broken = source(8)
    broken.examples[3]["label"][:] = IGNORE_INDEX

    def loss(labels: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        usual = losses.pixel_cross_entropy(labels, logits)
        return usual * ops.where(ops.any(labels == IGNORE_INDEX), np.nan, 1.0)

    wanted = settings(translate=0, batch=2, epochs=1)
    batches = inputs.batches(broken, wanted, seed=1)
    numbers = inputs.numbers(8, wanted, 1)
    step = next(n for n in range(1, 5) if 3 in numbers[n - 1])
    assert step > 1, "choose another seed: nothing is saved before the first step"
    model = small()
    place = kept_place(tmp_path, 1)
    with pytest.raises(
        ValueError, match=rf"the loss is nan, training small at step {step} with "
    ) as caught:
        loop.fit(
            model,
            loss,
            batches,
            wanted,
            unmeasured,
            unseen,
            place,
            lambda step: [f"example-{number}" for number in numbers[step - 1]],
        )
    assert "example-3" in str(caught.value)
    assert f"the checkpoint of step {step - 1} stays" in str(caught.value)
    found = kept_place(tmp_path, 1).found
    assert found is not None
    assert found.step == step - 1
    for number, variable in enumerate(model.variables):
        if variable.trainable:
            np.testing.assert_array_equal(found.arrays[f"model-{number:04d}"], variable)


def test_a_rate_far_too_high_is_named(tiny: Network) -> None:
    wanted = settings(epochs=8, warmup=0.0, learning_rate=1e20)
    with pytest.raises(ValueError, match=r"at step \d+; nothing was saved;.*rate below 1e\+20"):
        fit(network(tiny), wanted)


@pytest.mark.usefixtures("half_precision")
def test_in_half_precision_it_learns_with_single_weights_and_loss(tiny: Network) -> None:
    model = network(tiny)
    epochs = fit(model, settings(epochs=8, warmup=0.1, learning_rate=3e-3))
    assert model.get_layer("conv1_1").compute_dtype == "bfloat16"
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.output.dtype == "float32"
    assert epochs[0].loss == pytest.approx(math.log(CLASSES), rel=0.1)
    assert epochs[-1].loss < 0.7 * epochs[0].loss
