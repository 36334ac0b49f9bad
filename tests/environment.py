"""The environment of a person who has just cloned the project, wherever the tests are started.

Importing this module removes a person's settings from this process and its children: variables and
the home folder. What belongs to the machine stays: PATH, locale, time zone, threads, instruction
set.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

PREFIXES = ("DASK_", "DVC_", "FCN_", "GIT_", "KERAS_", "MLFLOW_", "PREFECT_", "XDG_")
"""Variables with these prefixes change what the programs under test do."""
LOCAL = "127.0.0.1,localhost"
"""All that tests connect to; a proxy that a person configured does not reach it."""
MARK = "CLEAN_TEST_ENVIRONMENT"
"""Set in children of a test: what the test set for them stays."""


def _clean() -> None:
    for name in [name for name in os.environ if name.startswith(PREFIXES)]:
        del os.environ[name]
    # A hundred processes import the project; without bytecode each compiles it.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    home = tempfile.mkdtemp(prefix="home-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ |= {
        MARK: "1",
        "HOME": home,
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "NO_PROXY": LOCAL,
        "no_proxy": LOCAL,
        "GIT_CONFIG_NOSYSTEM": "1",
        "DVC_NO_ANALYTICS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


if MARK not in os.environ:
    _clean()

import flows  # noqa: E402, F401  its settings for Prefect
