"""What stops a training before it does harm: numbers that are not finite, memory used up."""

import math
import textwrap
from collections.abc import Callable
from functools import partial

import keras
import numpy as np
from keras import KerasTensor, ops

from fcn.settings.training import Training


class Guarded:
    """A mixin for an optimizer: where the loss or a gradient is not finite, nothing moves.

    Neither a weight, nor a momentum that would move weights later, nor gradients that are being
    accumulated, nor the count of steps. All of it happens inside the compiled step, on any backend;
    afterwards `finite` says whether the step was taken. While it is, the bits are those of the
    optimizer that this is mixed into.
    """

    def build(self, variables: list[keras.Variable]) -> None:
        """Make the optimizer's variables and `finite`."""
        super().build(variables)  # type: ignore[misc]
        self.finite = self.add_variable((), "ones", "bool", name="finite")  # type: ignore[attr-defined]

    def scale_loss(self, loss: KerasTensor) -> KerasTensor:
        """Return the loss times 1, or NaN where it is not finite: NaN reaches its gradients.

        (Unless the loss itself hides one branch of `ops.where` from them; ours do not.)
        """
        return loss * ops.where(ops.isfinite(loss), 1.0, np.nan)

    def apply(
        self, grads: list[KerasTensor], trainable_variables: list[keras.Variable] | None = None
    ) -> None:
        """Look at all gradients; take the step, or leave everything as it was."""
        if not self.built:  # type: ignore[attr-defined]
            self.build(list(trainable_variables or ()))
        # A sum is finite where all its terms are (and below 1e38): one operation per gradient.
        sums = ops.stack([ops.sum(ops.cast(gradient, "float32")) for gradient in grads])
        finite = ops.isfinite(ops.sum(sums))
        self.finite.assign(finite)
        take = partial(super().apply, grads, trainable_variables)  # type: ignore[misc]
        if keras.backend.backend() == "tensorflow":
            ops.cond(finite, take, lambda: None)
            return
        # JAX cannot assign inside a branch; XLA makes one loop of the step and the choice.
        moving = [*self._trainable_variables, *self.variables]  # type: ignore[attr-defined]
        before = [variable.value for variable in moving]
        take()
        for variable, old in zip(moving, before, strict=True):
            variable.assign(ops.where(finite, variable.value, old))


def step(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    training: Training,
    about: Callable[[], str],
) -> float:
    """Train on one batch; return its loss in nats.

    Args:
        model: compiled with an optimizer that is `Guarded`.
        images: B H W C.
        labels: B H W or B.
        training: the settings, for messages.
        about: says which step it is, of which examples, and what is left of the training.

    Raises:
        ValueError: the loss or a gradient was not finite, or there was not enough memory.
    """
    try:
        loss = float(model.train_on_batch(images, labels))
    except Exception as error:
        if not out_of_memory(error):
            raise
        asked = textwrap.shorten(str(error), 200) or "Python has none left"
        raise ValueError(
            f"no memory to train {model.name} on a batch of {' x '.join(map(str, images.shape))} "
            f"({asked}), at {about()}; what takes less: a smaller training.batch (it is "
            f"{training.batch}), smaller images, a smaller network.width, or "
            "`precision: mixed_bfloat16` in params.yaml"
        ) from error
    finite = bool(ops.convert_to_numpy(model.optimizer.finite))
    if finite and math.isfinite(loss):
        return loss
    what = "a gradient is not a finite number" if math.isfinite(loss) else f"the loss is {loss}"
    raise ValueError(
        f"{what}, training {model.name} at {about()}; stopped before the weights moved; look at "
        f"these examples, or try a learning rate below {training.learning_rate:g}"
    )


def out_of_memory(error: Exception) -> bool:
    """Return whether a backend, or Python itself, asked for memory that is not there.

    TensorFlow has a class for it, JAX only the status in the message.
    """
    named = type(error).__name__ == "ResourceExhaustedError"
    return named or isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
