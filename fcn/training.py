"""Train a network on batches; the same settings and data give the same weights.

One function for classifiers and segmentation networks: they differ in the loss and in how they are
measured after each epoch, both given by the caller.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

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

    def row(self) -> dict[str, float]:
        """Return everything as one flat row."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "loss": self.loss,
            "learning_rate": self.learning_rate,
            **self.measured,
        }


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
    watch = _Watch(model.name, per_epoch, training, rate, measure, seen)
    model.fit(
        inputs.stream(batches),
        epochs=training.epochs,
        steps_per_epoch=per_epoch,
        shuffle=False,  # the batches are in their order already
        verbose=0,
        callbacks=[watch],
    )
    return watch.epochs


class _Watch(keras.callbacks.Callback):
    """Stops on a loss that is no number, measures after each epoch and shows progress."""

    def __init__(
        self,
        name: str,
        per_epoch: int,
        training: Training,
        rate: keras.optimizers.schedules.LearningRateSchedule,
        measure: Measure,
        seen: Callable[[Epoch], None],
    ) -> None:
        super().__init__()
        self.name, self.per_epoch, self.training, self.rate = name, per_epoch, training, rate
        self.measure, self.seen = measure, seen
        self.epochs: list[Epoch] = []
        self.began = self.shown = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        assert logs is not None
        step = len(self.epochs) * self.per_epoch + batch + 1
        if not math.isfinite(logs["loss"]):
            raise ValueError(
                f"the loss of {self.name} is {logs['loss']} at step {step}; nothing was saved; "
                f"try a learning rate below {self.training.learning_rate:g}"
            )
        if (now := time.monotonic()) - self.shown >= 1:
            self.shown = now
            door.say(self._progress(step, logs["loss"]), last=False)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        assert logs is not None
        step = (epoch + 1) * self.per_epoch
        # The rate that the epoch's last step used; the schedule counts from 0.
        rate = float(self.rate(step - 1))
        done = Epoch(epoch + 1, step, float(logs["loss"]), rate, self.measure(self.model))
        self.epochs.append(done)
        self.seen(done)
        measured = "".join(f"  {name} {value:.3f}" for name, value in done.measured.items())
        door.say(self._progress(step, done.loss) + measured)

    def _progress(self, step: int, loss: float) -> str:
        seconds = time.monotonic() - self.began
        total = self.per_epoch * self.training.epochs
        left = seconds / step * (total - step)
        return (
            f"{self.name}  epoch {math.ceil(step / self.per_epoch)}/{self.training.epochs}  "
            f"step {step}/{total}  loss {loss:.4f}  "
            f"{step * self.training.batch / seconds:.0f} images/s  {left:.0f} s left"
        )
