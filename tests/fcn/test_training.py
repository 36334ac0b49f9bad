import math

import keras
import numpy as np
import pytest
from keras import ops

from fcn import inputs, losses, models, training
from fcn.dataset import IGNORE
from fcn.settings import Network, Training

pytestmark = pytest.mark.usefixtures("seeded")
CLASSES = 3
RATE = 1e-2


def settings(**changed: float) -> Training:
    values = {"epochs": 2, "batch": 4, "learning_rate": RATE, "warmup": 0.25, "shift": 2}
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
    return models.network("fcn16s", "vgg16", shape, 1, CLASSES)


def fit(model: keras.Model, wanted: Training) -> list[training.Epoch]:
    """Train on ten examples: two batches of four in an epoch, and two examples left over."""
    batches = inputs.batches(source(10), wanted, seed=1)
    return training.fit(
        model, losses.pixel_cross_entropy, batches, wanted, lambda _: {}, lambda _: None
    )


def same(one: keras.Model, two: keras.Model) -> bool:
    return all(
        weight.tobytes() == twin.tobytes()
        for weight, twin in zip(one.get_weights(), two.get_weights(), strict=True)
    )


@pytest.mark.parametrize(("warmup", "top"), [(0.25, 10), (0.0, 0), (0.01, 0), (0.5, 20)])
def test_the_rate_rises_from_0_to_the_highest_and_falls_to_0(warmup: float, top: int) -> None:
    schedule = training.schedule(settings(warmup=warmup), 40)
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
    assert float(training.schedule(settings(warmup=0.0), 1)(0)) == pytest.approx(RATE)


def test_a_training_is_its_batches_one_after_the_other(tiny: Network) -> None:
    wanted = settings(epochs=3)
    model, by_hand = network(tiny), network(tiny)
    epochs = fit(model, wanted)
    batches = inputs.batches(source(10), wanted, seed=1)
    steps = len(batches)
    rate = training.schedule(wanted, steps)
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
    tiny: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    model = network(tiny)
    happened: list[object] = []

    def measure(network: keras.Model) -> dict[str, float]:
        happened.append("measured")
        return {"val_size": float(abs(network.get_layer("score_fr").get_weights()[0]).sum())}

    wanted = settings(epochs=3)
    batches = inputs.batches(source(8), wanted, seed=1)
    epochs = training.fit(
        model, losses.pixel_cross_entropy, batches, wanted, measure, happened.append
    )
    first, second, third = epochs
    assert happened == ["measured", first, "measured", second, "measured", third]
    assert first.measured != second.measured
    assert third.measured == measure(model)
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


def test_a_loss_that_is_no_number_stops_the_run_at_its_step(tiny: Network) -> None:
    broken = source(8)
    broken.examples[3]["label"][:] = IGNORE

    def loss(labels: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        usual = losses.pixel_cross_entropy(labels, logits)
        return ops.where(ops.any(labels == IGNORE), np.nan, usual)

    wanted = settings(shift=0)
    batches = inputs.batches(broken, wanted, seed=1)
    step = next(n for n in range(1, len(batches) + 1) if (batches[n - 1][1] == IGNORE).any())
    seen: list[training.Epoch] = []
    with pytest.raises(ValueError, match=rf"^the loss of fcn16s is nan at step {step};"):
        training.fit(network(tiny), loss, batches, wanted, lambda _: {}, seen.append)
    assert len(seen) == (step - 1) // 2


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
