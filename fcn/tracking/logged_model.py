"""A trained model as MLflow stores it: it takes encoded pictures and needs no other files."""

import base64
import importlib.util
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
NOT_LOGGED = ("__pycache__", "samples")
"""Folders of the package that a logged model does not need; the second holds another model."""
REQUIREMENTS = ("keras", "numpy", "opencv-python-headless", "pillow", "pydantic", "ruamel.yaml")
BACKENDS = {"tensorflow": ("tensorflow-cpu", "tensorflow"), "jax": ("jax",)}


def log(path: Path, channels: int, backend: str) -> None:
    """Log a saved model to the active run, with signature, input example and requirements."""
    import mlflow
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    from fcn.records.record import encode_png

    # MLflow accepts encoded pictures with this signature, and arrays B H W C too.
    pictures, black = TensorSpec(np.dtype("O"), (-1,)), np.zeros((32, 32), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder) / PACKAGE.name
        shutil.copytree(PACKAGE, code, ignore=shutil.ignore_patterns(*NOT_LOGGED))
        mlflow.pyfunc.log_model(
            name="model",
            python_model=str(PACKAGE / "serving/served.py"),
            artifacts={"model": str(path)},
            model_config={"backend": backend},
            code_paths=[str(code)],
            input_example=np.array([base64.b64encode(encode_png(black)).decode()], object),
            metadata={"channels": channels},
            signature=ModelSignature(inputs=Schema([pictures]), outputs=Schema([pictures])),
            # MLflow takes ten seconds to infer them.
            pip_requirements=requirements(backend),
        )


def requirements(backend: str) -> list[str]:
    """Return the packages that the logged model needs, at the installed versions."""
    names = [*REQUIREMENTS]
    for name in BACKENDS[backend]:
        if importlib.util.find_spec(backend) and _version(name):
            names.append(name)
            break
    return [f"{name}=={_version(name)}" for name in names]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
