"""Optimizers and learning rates: Keras' own, guarded; rates by layer, weight decay, averages."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import keras
from keras import KerasTensor, ops

from fcn.settings.training import Training
from fcn.training.guard import Guarded


class RatesAndDecay:
    """A mixin: a learning rate for each variable, L2 in the gradients of kernels.

    It acts where Keras applies one gradient to one variable: once per weight update, after
    accumulation, as Caffe does (`SGDSolver::Regularize`). With the default values the bits are
    those of Keras' optimizer.
    """

    bias_rate, decay = 1.0, 0.0

    def build(self, variables: list[keras.Variable]) -> None:
        """Remember which variables are kernels, and the factor on the learning rate of each."""
        super().build(variables)  # type: ignore[misc]
        self.kernels = tuple(variable.name == "kernel" for variable in variables)
        self.rates = tuple(
            getattr(variable, "rate", 1.0) * (self.bias_rate if variable.name == "bias" else 1.0)
            for variable in variables
        )

    def update_step(
        self, gradient: KerasTensor, variable: keras.Variable, learning_rate: KerasTensor
    ) -> None:
        """Update one variable and its momentum."""
        index = self._get_variable_index(variable)  # type: ignore[attr-defined]
        if self.rates[index] != 1:
            learning_rate = learning_rate * self.rates[index]
        if self.kernels[index] and self.decay:
            gradient = gradient + self.decay * ops.convert_to_tensor(variable)
        super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]


class AveragePerUpdate:
    """A mixin: with `use_ema`, the average moves once per weight update.

    Keras moves it in every step, also in those that only accumulate gradients.
    """

    def _update_model_variables_moving_average(self, variables: list[keras.Variable]) -> None:
        steps = self.gradient_accumulation_steps or 1  # type: ignore[attr-defined]
        averages = self._model_variables_moving_average if steps > 1 else []  # type: ignore[attr-defined]
        before = [ops.copy(average) for average in averages]  # a conversion may copy nothing
        super()._update_model_variables_moving_average(variables)  # type: ignore[misc]
        updated = (self._iterations + 1) % steps == 0  # type: ignore[attr-defined]
        for average, old in zip(averages, before, strict=True):
            average.assign(ops.where(updated, ops.convert_to_tensor(average), old))


class Adam(Guarded, AveragePerUpdate, RatesAndDecay, keras.optimizers.Adam):
    """Keras' Adam, guarded."""


class SGD(Guarded, AveragePerUpdate, RatesAndDecay, keras.optimizers.SGD):
    """Keras' SGD; its momentum is Caffe's: `v = momentum * v - rate * gradient; w += v`."""


def set_rate(model: keras.Model, layers: Collection[str], rate: float) -> None:
    """Multiply the learning rate of the layers of these names by `rate`.

    It is a property of the variables, as `trainable` is: optimizers read it when they are built.
    """
    for layer in model.layers:
        for variable in layer.variables if layer.name in layers else ():
            variable.rate = rate


@contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Inside the block, the trained weights are their average, if `ema` is set.

    Frozen layers and the statistics of batch normalisation, which are averages already, are as in
    the training.
    """
    if not model.optimizer.use_ema:
        yield
        return
    variables = model.trainable_variables
    weights = [ops.convert_to_numpy(variable) for variable in variables]
    model.optimizer.finalize_variable_values(variables)
    yield
    for variable, weight in zip(variables, weights, strict=True):
        variable.assign(weight)


class LearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up from 0; then constant, polynomial decay to 0, or milestones."""

    def __init__(self, training: Training, warmup_steps: int, decay_steps: int) -> None:
        """Keep the settings, the steps of the warm-up and those after it."""
        self.training, self.warmup_steps, self.decay_steps = training, warmup_steps, decay_steps

    def __call__(self, step: KerasTensor) -> KerasTensor:
        """Return the rate of a step, counted from 0."""
        training, step = self.training, ops.cast(step, "float32")
        since_warmup = step - self.warmup_steps
        factor: KerasTensor | float = 1.0
        if training.power is not None:
            factor = (1 - ops.clip(since_warmup / self.decay_steps, 0, 1)) ** training.power
        if training.milestones is not None:
            passed = [
                ops.cast(since_warmup >= round(milestone * self.decay_steps), "float32")
                for milestone in training.milestones
            ]
            factor = training.gamma ** sum(passed)
        warmup = step / max(1, self.warmup_steps)
        return training.learning_rate * ops.where(step < self.warmup_steps, warmup, factor)


def schedule(training: Training, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return the learning rate by step, counted from 0; steps that only accumulate count too."""
    peak, warmup_steps = training.learning_rate, round(training.warmup * steps)
    decay_steps = max(1, steps - warmup_steps)
    if training.schedule != "cosine":
        return LearningRate(training, warmup_steps, decay_steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup_steps else peak,
        decay_steps=decay_steps,
        warmup_target=peak if warmup_steps else None,
        warmup_steps=warmup_steps,
    )


def build(training: Training, steps: int) -> keras.optimizers.Optimizer:
    """Return the optimizer of the settings, for a training of `steps` steps."""
    learning_rate = schedule(training, steps)
    options = {
        "gradient_accumulation_steps": training.accumulate if training.accumulate > 1 else None,
        "use_ema": training.ema is not None,
        "ema_momentum": training.ema or 0.0,
    }
    if training.optimizer == "sgd":
        assert training.momentum is not None
        optimizer: Adam | SGD = SGD(
            learning_rate,
            momentum=training.momentum,
            nesterov=training.nesterov,
            **options,
        )
    else:
        optimizer = Adam(learning_rate, **options)
    optimizer.bias_rate, optimizer.decay = training.bias_rate, training.weight_decay
    return optimizer
