"""Choose Keras' backend and make it repeatable; call `use` before anything imports keras."""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import absl.logging

from fcn.settings.common import Compute

EXTRAS = {"tensorflow": "cpu", "jax": "jax"}
"""What `make setup` calls the extra that brings a backend."""
AS_NEEDED = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""GPU memory is taken as it is needed: an evaluation has room beside the next training."""
UNUSED = {"tensorflow": ("jax", "matplotlib", "sklearn"), "jax": ("matplotlib", "sklearn")}
"""What Keras and TensorFlow import where they find it, for wrappers, galleries and converters that
nothing here uses: two fifths of their start."""
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
"""XLA's flag; TensorFlow has a function for it."""


def use(common: Compute) -> None:
    """Import keras on the backend, precision and seed of the settings.

    Raises:
        ValueError: the backend is not installed, or has fewer devices.
    """
    assert "keras" not in sys.modules or os.environ.get("KERAS_BACKEND") == common.backend
    os.environ["KERAS_BACKEND"] = common.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name, value in AS_NEEDED.items():
        os.environ.setdefault(name, value)
    if common.deterministic and common.backend == "jax":
        _add_xla_flag(DETERMINISTIC)
    absl.logging.set_verbosity(absl.logging.ERROR)  # Grain regrets that there is no JAX.
    try:
        with _quietly(), _without(UNUSED[common.backend]):
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
    if common.backend == "jax":
        _spread(common.devices)


def _add_xla_flag(flag: str) -> None:
    """Add a flag to XLA_FLAGS, which XLA reads when it starts, unless it is given there."""
    flags = os.environ.get("XLA_FLAGS", "")
    if flag.partition("=")[0] not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {flag}".strip()


def _spread(devices: int) -> None:
    """Share each batch out over the first devices of JAX; the weights lie on all of them."""
    import keras

    found = keras.distribution.list_devices()
    if devices > len(found):
        raise ValueError(
            f"devices: got {devices}, but JAX sees {len(found)} ({', '.join(found)}); "
            "set fewer in params.yaml"
        )
    several = keras.distribution.DataParallel(devices=found[:devices])
    keras.distribution.set_distribution(several if devices > 1 else None)


@contextmanager
def _without(names: Iterable[str]) -> Iterator[None]:
    """Let packages that are not imported yet look as if they were not installed."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


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
