"""What contract tests of networks share: every head and backbone that there is, built small."""

import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import fcn.backbones
import fcn.heads
from fcn.settings import reader
from fcn.settings.network import Network
from tests.shipped import ROOT, SHIPPED

os.environ["KERAS_BACKEND"] = reader.load("digits", SHIPPED).common.backend

CLASSES = 4
ELSEWHERE = {"m2nist": "mnist_small", "m2nist_wide": "mnist_small", "unet": "unet"}
"""The backbone of heads that do not stand on VGG-16."""


def found(package: Any) -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ask every test that takes a head or a backbone about each of them."""
    for name, package in (("head", fcn.heads), ("backbone", fcn.backbones)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, found(package))


@pytest.fixture(scope="session")
def help_of() -> Callable[[str], str]:
    """Return what a command prints with --help in 80 columns; it runs once."""

    @cache
    def run(name: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *name.split(), "--help"],
            cwd=ROOT,
            env=os.environ | {"COLUMNS": "80"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def heads() -> list[str]:
    return found(fcn.heads)


@pytest.fixture(scope="session")
def tiny() -> Network:
    return Network(width=0.0625, fc6_kernel=1, dropout=0.0, mean=0.0, std=255.0)


@pytest.fixture(scope="session")
def built(keras_ready: None, tiny: Network) -> Callable[..., Any]:
    """Build a head on its backbone, with these network settings, its scores not zero; for reading.

    Each is built once.
    """
    import keras

    from fcn.network import build

    @cache
    def build_once(head: str, backbone: str | None = None, **changed: Any) -> Any:
        keras.utils.set_random_seed(5)
        rng = np.random.default_rng(7)
        shape = tiny.model_copy(update=changed)
        module = backbone or ELSEWHERE.get(head, "vgg16")
        model = build.network(head, module, shape, 3, CLASSES)
        for layer in model.layers:
            if layer.name.startswith("score") and layer.weights:
                kernel, bias = layer.get_weights()
                layer.set_weights([rng.normal(size=kernel.shape), bias + 0.1])
        return model

    return build_once


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture(scope="session")
def answer(keras_ready: None) -> Callable[[Any, np.ndarray], np.ndarray]:
    """Images B H W C -> what a model makes of them, as an array."""
    import keras

    return lambda model, images: keras.ops.convert_to_numpy(model(images))
