"""The text of `fcn --version`: this program, Python, and the packages that run networks."""

import platform
import tomllib
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

NAME = "fcn-line"
ROOT = Path(__file__).parents[2]
PACKAGES = (
    *("keras", "tensorflow-cpu", "tensorflow", "jax", "onnxruntime", "ai-edge-litert"),
    *("dvc", "prefect", "mlflow"),
)
"""Engines, then what runs the pipeline; those that are installed are listed."""


def version() -> str:
    """Return one line for each program and package; nothing is imported for it."""
    python = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    found = ((name, _installed(name)) for name in PACKAGES)
    packages = [f"{name} {number}" for name, number in found if number]
    return "\n".join([f"{NAME} {project_version()}, in {ROOT}", python, *packages])


def project_version() -> str:
    """Return the version in the checkout's pyproject.toml, or that of the installed package."""
    path = ROOT / "pyproject.toml"
    if path.is_file():
        project = tomllib.loads(path.read_text("utf-8")).get("project", {})
        if project.get("name") == NAME:
            return str(project["version"])
    return _installed(NAME) or "of unknown version"


def _installed(name: str) -> str | None:
    try:
        return installed_version(name)
    except PackageNotFoundError:
        return None
