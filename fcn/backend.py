"""Choose Keras' backend and make it repeatable; call `use` before anything imports keras."""

import os
import sys

from fcn.settings import Common


def use(common: Common) -> None:
    """Import keras on the backend, precision and seed of the settings.

    Raises:
        ValueError: the backend is not installed.
    """
    assert "keras" not in sys.modules or os.environ.get("KERAS_BACKEND") == common.backend
    os.environ["KERAS_BACKEND"] = common.backend
    # TensorFlow's notes on CPU features say nothing that a person could act on.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import keras
    except ModuleNotFoundError as error:
        raise ValueError(
            f"backend {common.backend!r} is not installed ({error}); install its extra "
            "(`make setup EXTRA=jax`) or choose another in params.yaml"
        ) from None
    keras.config.set_dtype_policy(common.precision)
    keras.utils.set_random_seed(common.seed)
    if common.deterministic and common.backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
