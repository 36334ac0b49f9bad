"""Choose Keras' backend and make it repeatable; call `use` before anything imports keras."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import absl.logging

from fcn.settings import Common

EXTRAS = {"tensorflow": "cpu", "jax": "jax"}
"""What `make setup` calls the extra that brings a backend."""


def use(common: Common) -> None:
    """Import keras on the backend, precision and seed of the settings.

    Raises:
        ValueError: the backend is not installed.
    """
    assert "keras" not in sys.modules or os.environ.get("KERAS_BACKEND") == common.backend
    os.environ["KERAS_BACKEND"] = common.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    absl.logging.set_verbosity(absl.logging.ERROR)  # Grain regrets that there is no JAX.
    try:
        with _quietly():
            import keras

            keras.ops.zeros(1)  # TensorFlow's last notes come with its first operation.
    except ModuleNotFoundError as error:
        raise ValueError(
            f"backend {common.backend!r} is not installed ({error}); install it with "
            f"`make setup EXTRA={EXTRAS[common.backend]}`, or choose another in params.yaml"
        ) from None
    keras.config.set_dtype_policy(common.precision)
    keras.utils.set_random_seed(common.seed)
    if common.deterministic and common.backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep what TensorFlow's C++ part writes to stderr while it loads; show it if it fails.

    Its notes on CPU features are written before any log level is obeyed, and nobody can act on
    them.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept, os.fdopen(os.dup(2), "wb") as stderr:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            stderr.write(kept.read())
            raise
        finally:
            os.dup2(stderr.fileno(), 2)
