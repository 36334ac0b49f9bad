"""Keras for the tests of networks: on the settings' backend from its first import on.

Modules that import keras say `pytestmark = pytest.mark.usefixtures("keras_ready")`.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from fcn import settings

os.environ["KERAS_BACKEND"] = settings.load("digits", Path(__file__).parents[2]).common.backend


@pytest.fixture(scope="session")
def tiny() -> settings.Network:
    """VGG-16 with 4 to 32 channels, 256 in fc6 and fc7."""
    return settings.Network(width=0.0625, fc6_kernel=1, dropout=0.0, mean=0.0, scale=255.0)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)
