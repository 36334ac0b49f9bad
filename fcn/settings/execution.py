"""How a trained network runs: as the project sets it, elsewhere on the installed backend."""

from importlib.util import find_spec
from typing import Literal

from fcn.settings import project, reader
from fcn.settings.common import Compute

BACKENDS: tuple[Literal["tensorflow", "jax"], ...] = ("tensorflow", "jax")
"""In the order of preference outside a project."""


def compute() -> Compute:
    """Return backend, precision and seed.

    Raises:
        ValueError: there is no project, and no backend is installed; or the project's settings are
            wrong.
    """
    if (root := project.find()) is not None:
        return reader.load(reader.active(root)[0], root).common
    for backend in BACKENDS:
        if find_spec(backend):
            return Compute(seed=0, backend=backend, precision="float32", deterministic=True)
    raise ValueError(
        "neither TensorFlow nor JAX is installed, and one of them runs the networks; install "
        "fcn-line with one: `uv tool install '.[cpu]'` or `pip install '.[cpu]'`"
    )
