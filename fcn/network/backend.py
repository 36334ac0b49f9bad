"""Choose Keras' backend and make it deterministic, before anything imports Keras.

with backend.loading(settings.compute):
    from fcn.jobs import train  # and with it Keras, on the backend of the settings
"""

import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import absl.logging

from fcn.runtime import collection
from fcn.settings.common import Compute

EXTRAS = {"tensorflow": "cpu", "jax": "jax"}
"""The extra of `make setup` that installs each backend."""
GPU_MEMORY = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""GPU memory is allocated as needed: an evaluation then fits beside the next training."""
UNUSED = {"tensorflow": ("jax", "matplotlib", "sklearn"), "jax": ("matplotlib", "sklearn")}
"""What Keras, TensorFlow and Grain import where it is installed, for wrappers, galleries, profilers
and converters that nothing here uses: two fifths of the time of `import keras`."""
PORTABLE = {
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "TF_NUM_INTRAOP_THREADS": "2",
}
"""Kernels and threads that round equally on CPUs with `PORTABLE_INSTRUCTIONS` (decision 0018)."""
PORTABLE_INSTRUCTIONS = frozenset({"avx2", "fma"})
CPU_INFO = Path("/proc/cpuinfo")
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
"""XLA's flag for JAX; TensorFlow has a function instead."""


def use(compute: Compute) -> None:
    """Import Keras on the backend, precision and seed of the settings.

    Raises:
        ValueError: the backend is not installed or has fewer devices, or the CPU is not portable.
    """
    with loading(compute):
        pass
    collection.resume()


@contextmanager
def loading(compute: Compute) -> Iterator[None]:
    """Import Keras as `use` does; inside the block, import what needs Keras.

    Packages that nothing here uses look as if they were not installed: Grain would import JAX.
    Garbage is not collected from here on, until a job calls `collection.resume`.

    Raises:
        ValueError: as `use`.
    """
    collection.pause()
    with _hiding_packages(UNUSED[compute.backend]):
        _import_keras(compute)
        yield


def _import_keras(compute: Compute) -> None:
    assert "keras" not in sys.modules or os.environ.get("KERAS_BACKEND") == compute.backend
    os.environ["KERAS_BACKEND"] = compute.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name, value in GPU_MEMORY.items():
        os.environ.setdefault(name, value)
    if compute.deterministic == "portable":
        _require_portable_cpu()
        os.environ.update(PORTABLE)
    if compute.deterministic and compute.backend == "jax":
        _add_xla_flag(DETERMINISTIC)
    absl.logging.set_verbosity(absl.logging.ERROR)  # Grain warns that JAX is missing.
    try:
        with _hiding_stderr():
            import keras

            keras.ops.zeros(1)  # TensorFlow writes its last notes at its first operation.
    except ModuleNotFoundError as error:
        raise ValueError(
            f"backend {compute.backend!r} is not installed ({error}); install it with "
            f"`make setup EXTRA={EXTRAS[compute.backend]}`, or choose another in params.yaml"
        ) from None
    keras.config.set_dtype_policy(compute.precision)
    keras.utils.set_random_seed(compute.seed)
    if compute.deterministic and compute.backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    if compute.backend == "jax":
        _distribute(compute.devices)


def _require_portable_cpu() -> None:
    """Refuse a CPU that rounds otherwise, or that does not say what it is.

    Raises:
        ValueError: it is no x86-64 CPU with AVX2 and FMA under Linux.
    """
    flags = re.search(r"^flags\s*:(.*)$", CPU_INFO.read_text() if CPU_INFO.is_file() else "", re.M)
    missing = PORTABLE_INSTRUCTIONS - set(flags[1].split() if flags else ())
    if missing:
        raise ValueError(
            f"deterministic: got portable, but this CPU ({platform.machine()}) does not report "
            f"{' and '.join(sorted(missing))} in {CPU_INFO}; allowed there: true, false"
        )


def _add_xla_flag(flag: str) -> None:
    """Add a flag to XLA_FLAGS, which XLA reads when it starts, unless the user has set it."""
    flags = os.environ.get("XLA_FLAGS", "")
    if flag.partition("=")[0] not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {flag}".strip()


def _distribute(devices: int) -> None:
    """Split each batch over the first devices of JAX; each holds all weights."""
    import keras

    available = keras.distribution.list_devices()
    if devices > len(available):
        raise ValueError(
            f"devices: got {devices}, but JAX sees {len(available)} ({', '.join(available)}); "
            "set fewer in params.yaml"
        )
    parallel = keras.distribution.DataParallel(devices=available[:devices])
    keras.distribution.set_distribution(parallel if devices > 1 else None)


@contextmanager
def _hiding_packages(names: Iterable[str]) -> Iterator[None]:
    """Make packages that are not imported yet look as if they were not installed.

    Keras and TensorFlow import them in their own modules, guarded by ImportError alone: there is no
    setting that skips them, and all of Keras is imported whichever of its modules is.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def _hiding_stderr() -> Iterator[None]:
    """Hide what TensorFlow's C++ code writes to stderr while it loads; show it if loading fails.

    Its notes on CPU features ignore the log level, and nobody can act on them.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as captured, os.fdopen(os.dup(2), "wb") as stderr:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            captured.seek(0)
            stderr.write(captured.read())
            raise
        finally:
            os.dup2(stderr.fileno(), 2)
