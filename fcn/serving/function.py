"""A trained network as a function of images, whatever runs it."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

Forward = Callable[[np.ndarray], np.ndarray]
"""Images B H W C in 0..255 -> float32 logits B H W K."""
EXPORT = ("ai-edge-litert", "onnx", "onnxruntime", "tensorflow-cpu", "tf2onnx")
"""The packages that an export needs."""


@dataclass(frozen=True)
class Engine:
    """A network ready to run: images B H W C in 0..255 -> logits B H W K, float32."""

    name: str
    channels: int
    classes: int
    forward: Forward
    scale: float = 1.0
    """The network's `resize`, by which it first scales a picture's sides."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the logits; any height and width, uint8 or float."""
        return self.forward(images)


def as_float(images: np.ndarray) -> np.ndarray:
    """Return images as the networks take them, float32."""
    return np.asarray(images, np.float32)


def require_module(module: str, packages: tuple[str, ...] = EXPORT) -> Any:
    """Import a module that is optional in an installation.

    Args:
        module: its name.
        packages: what to install where it is missing.

    Raises:
        ValueError: it is not installed.
    """
    try:
        imported: ModuleType = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{error.name} is not installed; `make setup` installs it, or elsewhere "
            f"`pip install {' '.join(packages)}`"
        ) from None
    return imported
