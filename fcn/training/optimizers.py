"""Optimizers and learning rates: Keras' own, with a bias rate and weight decay, guarded."""

import keras
from keras import KerasTensor, ops

from fcn.settings.training import Training
from fcn.training.guard import Guarded


class BiasRateAndDecay:
    """A mixin: another learning rate for biases, L2 in the gradients of kernels.

    It acts where Keras applies one gradient to one variable: once per weight update, after
    accumulation, as Caffe does (`SGDSolver::Regularize`). With the default values the bits are
    those of Keras' optimizer.
    """

    bias_rate, decay = 1.0, 0.0

    def build(self, variables: list[keras.Variable]) -> None:
        """Remember which variables are kernels and which are biases."""
        super().build(variables)  # type: ignore[misc]
        self.kinds = tuple(variable.name for variable in variables)

    def update_step(
        self, gradient: KerasTensor, variable: keras.Variable, learning_rate: KerasTensor
    ) -> None:
        """Update one variable and its momentum."""
        kind = self.kinds[self._get_variable_index(variable)]  # type: ignore[attr-defined]
        if kind == "bias" and self.bias_rate != 1:
            learning_rate = learning_rate * self.bias_rate
        if kind == "kernel" and self.decay:
            gradient = gradient + self.decay * ops.convert_to_tensor(variable)
        super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]


class Adam(Guarded, BiasRateAndDecay, keras.optimizers.Adam):
    """Keras' Adam, guarded."""


class SGD(Guarded, BiasRateAndDecay, keras.optimizers.SGD):
    """Keras' SGD; its momentum is Caffe's: `v = momentum * v - rate * gradient; w += v`."""


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
    accumulate = training.accumulate if training.accumulate > 1 else None
    if training.optimizer == "sgd":
        assert training.momentum is not None
        optimizer: Adam | SGD = SGD(
            learning_rate,
            momentum=training.momentum,
            nesterov=training.nesterov,
            gradient_accumulation_steps=accumulate,
        )
    else:
        optimizer = Adam(learning_rate, gradient_accumulation_steps=accumulate)
    optimizer.bias_rate, optimizer.decay = training.bias_rate, training.weight_decay
    return optimizer
