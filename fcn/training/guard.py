"""Stop a training on numbers that are not finite, and explain when memory is exhausted."""

import math
import textwrap
from collections.abc import Callable
from functools import partial

import keras
import numpy as np
from keras import KerasTensor, ops

from fcn.settings.training import Training


class Guarded:
    """A mixin for an optimizer: where the loss or a gradient is not finite, nothing changes.

    Weights, momenta, accumulated gradients and the step counter keep their values. The check runs
    inside the compiled step, on any backend; afterwards `finite` says whether the step was taken.
    With finite numbers the bits are those of the optimizer without this mixin.
    """

    def build(self, variables: list[keras.Variable]) -> None:
        """Make the optimizer's variables and `finite`."""
        super().build(variables)  # type: ignore[misc]
        self.finite = self.add_variable((), "ones", "bool", name="finite")  # type: ignore[attr-defined]

    def scale_loss(self, loss: KerasTensor) -> KerasTensor:
        """Return the loss times 1, or NaN where it is not finite: NaN reaches its gradients.

        (Unless the loss stops gradients with an `ops.where` of its own; ours do not.)
        """
        return loss * ops.where(ops.isfinite(loss), 1.0, np.nan)

    def apply(
        self, grads: list[KerasTensor], trainable_variables: list[keras.Variable] | None = None
    ) -> None:
        """Check all gradients; take the step, or change nothing."""
        if not self.built:  # type: ignore[attr-defined]
            self.build(list(trainable_variables or ()))
        # A sum is finite if all its terms are (and below 1e38): one operation per gradient.
        sums = ops.stack([ops.sum(ops.cast(gradient, "float32")) for gradient in grads])
        finite = ops.isfinite(ops.sum(sums))
        self.finite.assign(finite)
        take = partial(super().apply, grads, trainable_variables)  # type: ignore[misc]
        if keras.backend.backend() == "tensorflow":
            ops.cond(finite, take, lambda: None)
            return
        # JAX cannot assign inside a branch; XLA fuses the step and this choice.
        variables = [*self._trainable_variables, *self.variables]  # type: ignore[attr-defined]
        before = [variable.value for variable in variables]
        take()
        for variable, old in zip(variables, before, strict=True):
            variable.assign(ops.where(finite, variable.value, old))


def step(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    training: Training,
    describe_step: Callable[[], str],
) -> float:
    """Train on one batch; return its loss in nats.

    Args:
        model: compiled with an optimizer that is `Guarded`.
        images: B H W C.
        labels: B H W or B.
        training: the settings, for messages.
        describe_step: names the step, its samples and the newest checkpoint, for messages.

    Raises:
        ValueError: the loss or a gradient was not finite, or there was not enough memory.
    """
    try:
        loss = float(model.train_on_batch(images, labels))
    except Exception as error:
        if not out_of_memory(error):
            raise
        request = textwrap.shorten(str(error), 200) or "Python could not allocate"
        raise ValueError(
            f"not enough memory to train {model.name} on a batch of "
            f"{' x '.join(map(str, images.shape))} ({request}), at {describe_step()}; set a "
            f"smaller training.batch (it is {training.batch}) or network.width, use smaller "
            "images, or set `precision: mixed_bfloat16` in params.yaml"
        ) from error
    finite = bool(ops.convert_to_numpy(model.optimizer.finite))
    if finite and math.isfinite(loss):
        return loss
    problem = "a gradient is not a finite number" if math.isfinite(loss) else f"the loss is {loss}"
    raise ValueError(
        f"{problem}, training {model.name} at {describe_step()}; the weights did not change; check "
        f"these samples, or set a learning rate below {training.learning_rate:g}"
    )


def out_of_memory(error: Exception) -> bool:
    """Return whether a backend, or Python itself, failed to allocate memory.

    TensorFlow raises a class of its own, JAX only names the status in the message.
    """
    by_class = type(error).__name__ == "ResourceExhaustedError"
    return by_class or isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
