"""Train a network on batches; the same settings and data give the same weights.

One function for classifiers and segmentation networks: they differ in the loss and in how they are
measured after each epoch, both given by the caller.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import grain
import keras

from fcn import door, inputs
from fcn.settings import Training

Measure = Callable[[keras.Model], dict[str, float]]


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch; the rows of a loss curve."""

    epoch: int
    step: int
    loss: float
    """Mean over the epoch's steps, in nats."""
    learning_rate: float
    """At the epoch's last step."""
    measured: dict[str, float]
    """By `Measure`, on the validation split."""

    def values(self) -> dict[str, float]:
        """Return what was measured, by name."""
        return {"loss": self.loss, "learning_rate": self.learning_rate, **self.measured}

    def row(self) -> dict[str, float]:
        """Return everything as one flat row."""
        return {"epoch": self.epoch, "step": self.step, **self.values()}


def schedule(training: Training, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return the learning rate by step: a rise from 0 over the warm-up, then a cosine to 0."""
    rise = round(training.warmup * steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if rise else training.learning_rate,
        decay_steps=max(1, steps - rise),
        warmup_target=training.learning_rate if rise else None,
        warmup_steps=rise,
    )


def fit(
    model: keras.Model,
    loss: keras.losses.Loss | Callable[..., keras.KerasTensor],
    batches: grain.MapDataset,
    training: Training,
    measure: Measure,
    seen: Callable[[Epoch], None],
) -> list[Epoch]:
    """Train `model` in place over all `batches`; call `seen` after every epoch.

    Returns:
        The epochs, in order.

    Raises:
        ValueError: the loss was not a finite number.
    """
    steps = len(batches)
    per_epoch = steps // training.epochs
    rate = schedule(training, steps)
    model.compile(
        keras.optimizers.Adam(rate),
        loss,
        # Measured on two cores: XLA makes this network 13 times slower on a CPU.
        jit_compile=keras.backend.backend() == "jax",
    )
    epochs: list[Epoch] = []
    progress = _Progress(model.name, steps, training)
    stream = iter(inputs.stream(batches))
    for epoch in range(training.epochs):
        total = 0.0
        for step, (images, labels) in enumerate(islice(stream, per_epoch), epoch * per_epoch + 1):
            loss_now = float(model.train_on_batch(images, labels))
            if not math.isfinite(loss_now):
                raise ValueError(
                    f"the loss of {model.name} is {loss_now} at step {step}; nothing was saved; "
                    f"try a learning rate below {training.learning_rate:g}"
                )
            total += loss_now
            progress.step(step, loss_now)
        # The schedule counts from 0: this is the rate that the epoch's last step used.
        done = Epoch(epoch + 1, step, total / per_epoch, float(rate(step - 1)), measure(model))
        epochs.append(done)
        seen(done)
        progress.epoch(done)
    return epochs


class _Progress:
    """Says where a training is and when it will end: every second at a terminal, else by epoch."""

    def __init__(self, name: str, steps: int, training: Training) -> None:
        self.name, self.steps, self.training = name, steps, training
        self.began = self.shown = time.monotonic()

    def step(self, step: int, loss: float) -> None:
        if time.monotonic() - self.shown >= 1:
            self.shown = time.monotonic()
            door.say(self._line(step, loss), last=False)

    def epoch(self, done: Epoch) -> None:
        measured = "".join(f"  {name} {value:.3f}" for name, value in done.measured.items())
        door.say(self._line(done.step, done.loss) + measured)

    def _line(self, step: int, loss: float) -> str:
        seconds = time.monotonic() - self.began
        epoch = math.ceil(step * self.training.epochs / self.steps)
        rate = step * self.training.batch / seconds
        left = seconds / step * (self.steps - step)
        return (
            f"{self.name}  epoch {epoch}/{self.training.epochs}  step {step}/{self.steps}  "
            f"loss {loss:.4f}  {rate:.0f} images/s  {left:.0f} s left"
        )
