"""Optimizers and learning rates: Keras' own, with the recipes' bias rate and decay, guarded."""

import keras
from keras import KerasTensor, ops

from fcn.settings.training import Training
from fcn.training.guard import Guarded


class Recipe:
    """A mixin: biases at a rate of their own, L2 in the gradients of kernels.

    What it changes, it changes where Keras applies one gradient to one variable: once per move of
    the weights, after accumulation, as Caffe does (`SGDSolver::Regularize`). With both left at
    their start the bits are those of Keras' optimizer.
    """

    bias_rate, decay = 1.0, 0.0

    def build(self, variables: list[keras.Variable]) -> None:
        """Remember which variables are kernels and which are biases."""
        super().build(variables)  # type: ignore[misc]
        self.kinds = tuple(variable.name for variable in variables)

    def update_step(
        self, gradient: KerasTensor, variable: keras.Variable, learning_rate: KerasTensor
    ) -> None:
        """Move one variable and its momentum."""
        kind = self.kinds[self._get_variable_index(variable)]  # type: ignore[attr-defined]
        if kind == "bias" and self.bias_rate != 1:
            learning_rate = learning_rate * self.bias_rate
        if kind == "kernel" and self.decay:
            gradient = gradient + self.decay * ops.convert_to_tensor(variable)
        super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]


class Adam(Guarded, Recipe, keras.optimizers.Adam):
    """Keras' Adam, guarded."""


class SGD(Guarded, Recipe, keras.optimizers.SGD):
    """Keras' SGD, whose momentum is Caffe's: `v = momentum * v - rate * gradient; w += v`."""


class Rate(keras.optimizers.schedules.LearningRateSchedule):
    """A rise from 0 over the warm-up; then constant, falling as a power to 0, or in steps."""

    def __init__(self, training: Training, rise: int, left: int) -> None:
        """Keep the settings, the steps of the warm-up and those after it."""
        self.training, self.rise, self.left = training, rise, left

    def __call__(self, step: KerasTensor) -> KerasTensor:
        """Return the rate of a step, counted from 0."""
        training, step = self.training, ops.cast(step, "float32")
        since = step - self.rise
        height: KerasTensor | float = 1.0
        if training.power is not None:
            height = (1 - ops.clip(since / self.left, 0, 1)) ** training.power
        if training.milestones is not None:
            passed = [
                ops.cast(since >= round(d * self.left), "float32") for d in training.milestones
            ]
            height = training.gamma ** sum(passed)
        risen = step / max(1, self.rise)
        return training.learning_rate * ops.where(step < self.rise, risen, height)


def schedule(training: Training, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return the learning rate by step, counted from 0; those that only accumulate count too."""
    top, rise = training.learning_rate, round(training.warmup * steps)
    left = max(1, steps - rise)
    if training.schedule != "cosine":
        return Rate(training, rise, left)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if rise else top,
        decay_steps=left,
        warmup_target=top if rise else None,
        warmup_steps=rise,
    )


def wanted(training: Training, steps: int) -> keras.optimizers.Optimizer:
    """Return the optimizer that the settings ask for, for a training of so many steps."""
    rate = schedule(training, steps)
    accumulate = training.accumulate if training.accumulate > 1 else None
    if training.optimizer == "sgd":
        assert training.momentum is not None
        made: Adam | SGD = SGD(
            rate,
            momentum=training.momentum,
            nesterov=training.nesterov,
            gradient_accumulation_steps=accumulate,
        )
    else:
        made = Adam(rate, gradient_accumulation_steps=accumulate)
    made.bias_rate, made.decay = training.bias_rate, training.weight_decay
    return made
