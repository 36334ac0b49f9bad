"""What stops a training before it does harm: numbers that are not finite, memory used up."""

import math
import textwrap
from collections.abc import Callable

import keras
import numpy as np
from keras import KerasTensor, ops

from fcn.schema.training import Training


class GuardedAdam(keras.optimizers.Adam):
    """Adam that leaves every weight as it is where the loss or a gradient is not finite.

    All of it happens inside the compiled step, on any backend; afterwards `finite` says whether the
    weights moved. While they do, the bits are those of Keras' Adam.
    """

    def build(self, variables: list[keras.Variable]) -> None:
        """Make the moments and `finite`."""
        super().build(variables)
        self.finite = self.add_variable((), "ones", "bool", name="finite")

    def scale_loss(self, loss: KerasTensor) -> KerasTensor:
        """Return the loss times 1, or NaN where it is not finite: NaN reaches its gradients.

        (Unless the loss itself hides one branch of `ops.where` from them; ours do not.)
        """
        return loss * ops.where(ops.isfinite(loss), 1.0, np.nan)

    def apply(
        self, grads: list[KerasTensor], trainable_variables: list[keras.Variable] | None = None
    ) -> None:
        """Look at all gradients before the first weight moves."""
        if not self.built:
            self.build(list(trainable_variables or ()))
        # A sum is finite where all its terms are (and below 1e38): one operation per gradient.
        sums = ops.stack([ops.sum(ops.cast(gradient, "float32")) for gradient in grads])
        self.finite.assign(ops.isfinite(ops.sum(sums)))
        super().apply(grads, trainable_variables)

    def assign_sub(self, variable: keras.Variable, value: KerasTensor) -> None:
        """Move a weight, or not; Adam's moments need not wait for the verdict."""
        moved = ops.where(self.finite.value, value, ops.zeros_like(value))  # JAX takes no Variable
        super().assign_sub(variable, moved)


def step(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    training: Training,
    about: Callable[[], str],
) -> float:
    """Train on one batch; return its loss in nats.

    Args:
        model: compiled with `GuardedAdam`.
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
