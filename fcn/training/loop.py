"""Train a network on batches; the same settings and data give the same weights.

One function for classifiers and segmentation networks: they differ in the loss and in how they are
measured after each epoch, both given by the caller. A training that was killed goes on from its
newest checkpoint and ends with the weights and the curve of one that was not.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial

import grain
import keras
import numpy as np
import psutil

from fcn.runtime.progress import Progress
from fcn.settings.training import Training
from fcn.training import guard, inputs, losses, optimizers
from fcn.training.checkpoints import Checkpoint, Place

Measure = Callable[[keras.Model, int], dict[str, float]]
"""Measures a model after an epoch, given its number from 1, on the validation split. The first
value is the score: more is better, and `patience` and `keep` go by it."""
Seen = Callable[[Mapping[str, float], int], None]
"""Is told values by name, and the step after which they hold."""
TELL_SECONDS = 5.0
"""Between two tellings of speed, memory and the loss of one batch."""


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
    """By `Measure`."""

    def values(self) -> dict[str, float]:
        """Return what was measured, by name."""
        return {"loss": self.loss, "learning_rate": self.learning_rate, **self.measured}

    def row(self) -> dict[str, float]:
        """Return everything as one flat row."""
        return {"epoch": self.epoch, "step": self.step, **self.values()}

    def score(self) -> float:
        """Return the first value measured."""
        return next(iter(self.measured.values()))


@dataclass
class Progressed:
    """How far a training has come, beside the variables of its model and optimizer."""

    step: int = 0
    total: float = 0.0
    """Of the losses of the running epoch's steps."""
    epochs: list[Epoch] = field(default_factory=list)
    best: list[np.ndarray] = field(default_factory=list)
    """The weights of the best epoch; empty unless they are to be kept."""

    def waited(self) -> int:
        """Return the number of epochs since the best one, the first of equals."""
        scores = [epoch.score() for epoch in self.epochs]
        return len(scores) - 1 - scores.index(max(scores))


def fit(
    model: keras.Model,
    loss: losses.Loss,
    batches: grain.MapDataset,
    training: Training,
    measure: Measure,
    seen: Seen,
    place: Place | None = None,
    ids: Callable[[int], Sequence[str]] | None = None,
) -> list[Epoch]:
    """Train `model` in place over all `batches`, or those that its checkpoint has not seen.

    Args:
        model: the network; its weights are where the training starts.
        loss: of labels and the model's output.
        batches: of all epochs, one for each step.
        training: the settings.
        measure: called after every epoch.
        seen: told the values of every epoch, those before the checkpoint included, and every few
            seconds how fast it goes.
        place: where checkpoints are; without it, none are read or written.
        ids: the examples of a step, counted from 1, by name, for messages.

    Returns:
        The epochs, in order.

    Raises:
        ValueError: the loss or a gradient was not a finite number (the weights of that step are not
            changed), or there was not enough memory.
    """
    steps = len(batches)
    per_epoch = steps // training.epochs
    optimizer = optimizers.wanted(training, steps)
    rate = optimizers.schedule(training, steps)
    model.compile(
        optimizer,
        loss,
        # Measured on two cores: XLA makes this network 13 times slower on a CPU.
        jit_compile=keras.backend.backend() == "jax",
    )
    optimizer.build(model.trainable_variables)
    now = restored(model, place.found) if place and place.found else Progressed()
    for epoch in now.epochs:
        seen(epoch.values(), epoch.step)
    progress = Progress(model.name, training.epochs, training.batch, steps, now.step)
    told = time.monotonic()
    stream = iter(inputs.stream(batches[now.step :]))
    while now.step < steps and not _enough(now, training):
        images, labels = next(stream)
        now.step += 1
        about = partial(_about, now.step, ids, place)
        loss_now = guard.step(model, images, labels, training, about)
        now.total += loss_now
        progress.step(now.step, loss_now)
        if time.monotonic() - told >= TELL_SECONDS:
            told = time.monotonic()
            seen(_pulse(loss_now, progress.images_per_second(now.step)), now.step)
        if ended := now.step % per_epoch == 0:
            # The schedule counts from 0: this is the rate that the epoch's last step used.
            rate_now = float(rate(now.step - 1))
            number = now.step // per_epoch
            done = Epoch(number, now.step, now.total / per_epoch, rate_now, measure(model, number))
            now.total = 0.0
            now.epochs.append(done)
            if training.keep == "best" and now.waited() == 0:
                now.best = model.get_weights()
            seen(done.values(), done.step)
            progress.epoch(done.step, done.loss, done.measured)
        last = ended and (now.step == steps or _enough(now, training))
        if place and (last or place.due(now.step)):
            place.save(now.step, *kept(model, now))
    if now.best:
        model.set_weights(now.best)
    return now.epochs


def _enough(now: Progressed, training: Training) -> bool:
    return bool(training.patience and now.epochs and now.waited() >= training.patience)


def _about(step: int, ids: Callable[[int], Sequence[str]] | None, place: Place | None) -> str:
    """Return what a person has to know of a step that failed."""
    examples = f" with examples {', '.join(ids(step))}" if ids else ""
    left = f"the checkpoint of step {place.newest} stays" if place and place.newest else None
    return f"step {step}{examples}; {left or 'nothing was saved'}"


def _pulse(loss: float, images_per_second: float) -> dict[str, float]:
    memory = psutil.Process().memory_info().rss
    return {
        "batch_loss": loss,
        "images_per_second": images_per_second,
        "memory_bytes": memory,
    }


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Return all that a training changes: weights, states of random generators, the optimizer's.

    By number: Keras' names count the models of a process.
    """
    kinds = {"model": model.variables, "optimizer": model.optimizer.variables}
    return {
        f"{kind}-{number:04d}": variable
        for kind, variables in kinds.items()
        for number, variable in enumerate(variables)
    }


def kept(model: keras.Model, now: Progressed) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """Return what a checkpoint holds, as JSON and as arrays."""
    facts = {"total": now.total, "epochs": [asdict(epoch) for epoch in now.epochs]}
    arrays = {
        name: keras.ops.convert_to_numpy(variable) for name, variable in _variables(model).items()
    }
    return facts, arrays | {f"best-{n:04d}": weight for n, weight in enumerate(now.best)}


def restored(model: keras.Model, found: Checkpoint) -> Progressed:
    """Give a compiled model and its optimizer the state that `kept` returned; return the rest."""
    for name, variable in _variables(model).items():
        variable.assign(found.arrays[name])
    epochs = [Epoch(**row) for row in found.facts["epochs"]]
    best = [found.arrays[name] for name in sorted(found.arrays) if name.startswith("best-")]
    return Progressed(found.step, found.facts["total"], epochs, best)
