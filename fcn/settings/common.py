"""params.yaml: what all tables share."""

from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field, NonNegativeInt, PositiveInt

from fcn.settings.values import Positive, Settings


class Intervals(Settings):
    """How sure a number is: bootstrap over images."""

    resamples: Annotated[int, Field(ge=100)]
    level: Annotated[float, Field(gt=0, lt=1)]
    """Share of the resamples that the interval holds."""


class Checkpoints(Settings):
    """How often a training keeps where it stands: `minutes` or `steps`. Changes no result."""

    minutes: Positive | None = None
    """Of training between two; stretched where writing one takes long (`fcn.training.checkpoints.SHARE`)."""
    steps: PositiveInt | None = None
    """After every so many, whatever writing one takes."""

    @pydantic.model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("exactly one of `minutes: 0.1` and `steps: 500`")
        return self


class Common(Settings):
    """params.yaml: what all tables share."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    """Everything random starts here: splits, canvases, first weights, order, dropout."""
    backend: Literal["tensorflow", "jax"]
    """Keras' backend. TensorFlow is the fast one on a CPU; JAX is for machines with a GPU only."""
    precision: Literal["float32", "mixed_bfloat16"]
    """What layers compute in; weights, scores and the loss are float32 in both."""
    deterministic: bool
    """Use deterministic kernels, so that the same settings give the same weights bit for bit."""
    devices: PositiveInt = 1
    """Over how many GPUs (or other devices of the backend) each batch is spread; JAX only. A sum in
    another order: the same results but for rounding."""
    checkpoints: Checkpoints = Checkpoints(minutes=0.1)
    intervals: Intervals
    workers: NonNegativeInt = 0
    """Processes that convert and validate; 0 is one per core. Changes no result."""
    mirror: str | None = None
    """A folder or URL that is asked for archives first; `FCN_MIRROR` overrides it."""

    @pydantic.model_validator(mode="after")
    def _several_devices_are_jax(self) -> Self:
        if self.devices > 1 and self.backend != "jax":
            raise ValueError(f"`devices: {self.devices}` with `backend: jax`, or `devices: 1`")
        return self
