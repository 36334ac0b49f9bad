import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import keras
import pytest

from fcn.network import backend
from fcn.settings import reader

pytestmark = pytest.mark.usefixtures("seeded")
ROOT = Path(__file__).parents[3]
USE = """
import sys
from fcn.network import backend
from fcn.settings import reader
from fcn.settings.common import Common, Intervals
{first}
common = Common(
    seed=3,
    backend="{backend}",
    precision="mixed_bfloat16",
    deterministic=True,
    intervals=Intervals(resamples=100, level=0.9),
)
try:
    backend.use(common)
except ValueError as error:
    sys.exit(str(error))
import keras
from tensorflow.python.framework.config import is_op_determinism_enabled
print(keras.backend.backend(), keras.config.dtype_policy().name, is_op_determinism_enabled())
print(keras.random.normal([1], dtype="float32").numpy()[0])
"""


def fresh(**parts: str) -> subprocess.CompletedProcess[str]:
    """Use a backend in a process that has not imported keras."""
    noisy = {
        name: value
        for name, value in os.environ.items()
        if name not in ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL")
    }
    return subprocess.run(
        [sys.executable, "-c", USE.format(**parts)],
        cwd=ROOT,
        env=noisy,
        capture_output=True,
        text=True,
        check=False,
    )


def test_backend_precision_seed_and_determinism_are_the_settings_and_stderr_is_empty() -> None:
    done = fresh(backend="tensorflow", first="")
    assert done.stderr == ""
    chosen, drawn = done.stdout.splitlines()
    assert chosen == "tensorflow mixed_bfloat16 True"
    keras.utils.set_random_seed(3)
    assert float(drawn) == pytest.approx(float(keras.random.normal([1])[0]), rel=1e-6)


def test_gpu_memory_is_allocated_as_needed_unless_the_user_sets_it(
    loaded: reader.Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = backend.GPU_MEMORY
    monkeypatch.delenv(first, raising=False)
    monkeypatch.setenv(second, "true")
    backend.use(loaded.common)
    assert (os.environ[first], os.environ[second]) == ("true", "true")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, backend.DETERMINISTIC),
        ("--xla_a=1", f"--xla_a=1 {backend.DETERMINISTIC}"),
        ("--xla_gpu_deterministic_ops=false", "--xla_gpu_deterministic_ops=false"),
    ],
)
def test_an_xla_flag_is_added_once_to_the_users(
    before: str | None, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    if before is not None:
        monkeypatch.setenv("XLA_FLAGS", before)
    for _ in range(2):
        backend._add_xla_flag(backend.DETERMINISTIC)
        assert os.environ["XLA_FLAGS"] == after


def test_a_backend_that_is_not_installed_is_named_with_the_command_that_installs_it() -> None:
    done = fresh(backend="jax", first="sys.modules['jax'] = None")
    assert done.returncode == 1
    (message,) = done.stderr.splitlines()
    assert "backend 'jax' is not installed" in message
    assert "make setup EXTRA=jax" in message


def test_a_cpu_that_rounds_otherwise_is_refused_for_portable_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loaded: reader.Loaded
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("flags\t\t: fpu sse4_2 avx fma\n")
    monkeypatch.setattr(backend, "CPU_INFO", info)
    portable = loaded.common.compute().model_copy(update={"deterministic": "portable"})
    for name in backend.PORTABLE:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="does not report avx2 in"):
        backend.use(portable)
    assert not os.environ.keys() & backend.PORTABLE.keys()


def test_the_seed_fixes_first_weights(loaded: reader.Loaded) -> None:
    drawn = []
    for _ in range(2):
        backend.use(loaded.common)
        drawn.append(keras.random.normal([4]).numpy())
    assert (drawn[0] == drawn[1]).all()


def test_what_c_code_writes_while_loading_is_hidden(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with backend._hiding_stderr():
        os.write(2, b"a note on CPU features\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_what_c_code_writes_is_shown_when_loading_fails(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with suppress(ImportError), backend._hiding_stderr():
        os.write(2, b"why it failed\n")
        raise ImportError
    assert capfd.readouterr().err == "why it failed\n"
