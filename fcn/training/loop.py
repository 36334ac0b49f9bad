"""Train a network on batches; the same settings and data give the same weights.

Classifiers and segmentation networks share this loop. They differ in the loss and in the
evaluation after each epoch; the caller gives both. A killed training resumes from its newest
checkpoint and ends with the weights and the loss curve of an uninterrupted one.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial

import grain
import keras
import numpy as np
import psutil

from fcn.runtime import collection
from fcn.runtime.progress import Progress
from fcn.settings.training import Training
from fcn.training import guard, inputs, losses, optimizers
from fcn.training.checkpoints import Checkpoint, CheckpointStore

LOG_SECONDS = 5.0
"""Between two logs of speed, memory and the loss of one batch."""


@dataclass(frozen=True)
class Callbacks:
    """What the loop calls."""

    evaluate: Callable[[keras.Model, int], dict[str, float]]
    """Evaluates a model on the validation split after an epoch, counted from 1. The first value is
    the score: more is better; `patience` and `keep` use it."""
    log: Callable[[Mapping[str, float], int], None]
    """Takes values by name and their step: those of every epoch, those before the checkpoint
    included, and the speed every few seconds."""
    sample_ids: Callable[[int], Sequence[str]] | None = None
    """Returns the ids of a step's samples, for messages; steps count from 1."""


@dataclass(frozen=True)
class Epoch:
    """The results of an epoch; a row of the loss curve."""

    epoch: int
    step: int
    loss: float
    """Mean over the epoch's steps, in nats."""
    learning_rate: float
    """At the epoch's last step."""
    scores: dict[str, float]
    """From `Callbacks.evaluate`."""

    def values(self) -> dict[str, float]:
        """Return loss, learning rate and scores by name."""
        return {"loss": self.loss, "learning_rate": self.learning_rate, **self.scores}

    def row(self) -> dict[str, float]:
        """Return everything as one flat row."""
        return {"epoch": self.epoch, "step": self.step, **self.values()}

    def score(self) -> float:
        """Return the first score."""
        return next(iter(self.scores.values()))


@dataclass
class TrainingState:
    """The progress of a training, without the variables of its model and optimizer."""

    step: int = 0
    loss_sum: float = 0.0
    """Over the steps of the current epoch."""
    epochs: list[Epoch] = field(default_factory=list)
    best_weights: list[np.ndarray] = field(default_factory=list)
    """Of the best epoch; empty unless `keep: best`."""

    def epochs_since_best(self) -> int:
        """Return the number of epochs since the best one; of equal scores the first is the best."""
        scores = [epoch.score() for epoch in self.epochs]
        return len(scores) - 1 - scores.index(max(scores))

    def stops_early(self, patience: int | None) -> bool:
        """Return whether `patience` epochs brought no better score."""
        return bool(patience and self.epochs and self.epochs_since_best() >= patience)


def fit(
    model: keras.Model,
    loss: losses.Loss,
    batches: grain.MapDataset,
    training: Training,
    callbacks: Callbacks,
    store: CheckpointStore | None = None,
) -> list[Epoch]:
    """Train `model` in place on all `batches`, or on those after its checkpoint.

    Args:
        model: the network; the training starts from its weights.
        loss: of labels and the model's output.
        batches: of all epochs, one for each step.
        training: the settings.
        callbacks: evaluation and logs.
        store: the checkpoints; None reads and writes none.

    Returns:
        The epochs, in order.

    Raises:
        ValueError: the loss or a gradient was not a finite number (the weights of that step are not
            changed), or there was not enough memory.
    """
    steps = len(batches)
    steps_per_epoch = steps // training.epochs
    optimizer = optimizers.build(training, steps)
    schedule = optimizers.schedule(training, steps)
    model.compile(
        optimizer,
        loss,
        # Measured on two cores: XLA makes this network 13 times slower on a CPU.
        jit_compile=keras.backend.backend() == "jax",
    )
    optimizer.build(model.trainable_variables)
    state = restore(model, store.latest) if store and store.latest else TrainingState()
    for epoch in state.epochs:
        callbacks.log(epoch.values(), epoch.step)
    progress = Progress(model.name, training.epochs, training.batch, steps, state.step)
    logged_at = time.monotonic()
    stream = iter(inputs.stream(batches[state.step :]))
    while state.step < steps and not state.stops_early(training.patience):
        images, labels = next(stream)
        state.step += 1
        describe_step = partial(_describe_step, state.step, callbacks.sample_ids, store)
        batch_loss = guard.step(model, images, labels, training, describe_step)
        collection.resume()
        state.loss_sum += batch_loss
        progress.step(state.step, batch_loss)
        if time.monotonic() - logged_at >= LOG_SECONDS:
            logged_at = time.monotonic()
            callbacks.log(
                _resources(batch_loss, progress.images_per_second(state.step)), state.step
            )
        if epoch_ended := state.step % steps_per_epoch == 0:
            # The schedule counts from 0: this is the rate of the epoch's last step.
            learning_rate = float(schedule(state.step - 1))
            number = state.step // steps_per_epoch
            mean_loss = state.loss_sum / steps_per_epoch
            with optimizers.averaged(model):
                scores = callbacks.evaluate(model, number)
                epoch = Epoch(number, state.step, mean_loss, learning_rate, scores)
                state.loss_sum = 0.0
                state.epochs.append(epoch)
                if training.keep == "best" and state.epochs_since_best() == 0:
                    state.best_weights = model.get_weights()
            callbacks.log(epoch.values(), epoch.step)
            progress.epoch(epoch.step, epoch.loss, epoch.scores)
        last = epoch_ended and (state.step == steps or state.stops_early(training.patience))
        if store and (last or store.due(state.step)):
            store.save(state.step, *snapshot(model, state))
    if state.best_weights:
        model.set_weights(state.best_weights)
    else:
        optimizer.finalize_variable_values(model.trainable_variables)  # the average, with `ema`
    return state.epochs


def _describe_step(
    step: int, sample_ids: Callable[[int], Sequence[str]] | None, store: CheckpointStore | None
) -> str:
    """Return the step, its samples and the newest checkpoint, for the message of a failed step."""
    samples = f" with samples {', '.join(sample_ids(step))}" if sample_ids else ""
    if store and store.last_step:
        return f"step {step}{samples}; the checkpoint at step {store.last_step} is kept"
    return f"step {step}{samples}; no checkpoint was saved"


def _resources(batch_loss: float, images_per_second: float) -> dict[str, float]:
    memory = psutil.Process().memory_info().rss
    return {
        "batch_loss": batch_loss,
        "images_per_second": images_per_second,
        "memory_bytes": memory,
    }


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Return all that a step changes: weights, states of random generators, the optimizer's.

    By number: Keras' own names depend on how many models the process has built.
    """
    kinds = {"model": model.variables, "optimizer": model.optimizer.variables}
    return {
        f"{kind}-{number:04d}": variable
        for kind, variables in kinds.items()
        for number, variable in enumerate(variables)
    }


def snapshot(
    model: keras.Model, state: TrainingState
) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """Return a checkpoint's metadata (JSON values) and arrays."""
    metadata = {"loss_sum": state.loss_sum, "epochs": [asdict(epoch) for epoch in state.epochs]}
    arrays = {
        name: keras.ops.convert_to_numpy(variable) for name, variable in _variables(model).items()
    }
    best = {f"best-{number:04d}": weight for number, weight in enumerate(state.best_weights)}
    return metadata, arrays | best


def restore(model: keras.Model, checkpoint: Checkpoint) -> TrainingState:
    """Give a compiled model and its optimizer the state of a checkpoint; return the rest."""
    for name, variable in _variables(model).items():
        variable.assign(checkpoint.arrays[name])
    metadata, arrays = checkpoint.metadata, checkpoint.arrays
    epochs = [Epoch(**row) for row in metadata["epochs"]]
    best = [arrays[name] for name in sorted(arrays) if name.startswith("best-")]
    return TrainingState(checkpoint.step, metadata["loss_sum"], epochs, best)
