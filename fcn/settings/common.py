"""params.yaml: what all tables share."""

from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field, NonNegativeInt, PositiveInt

from fcn.settings.values import Positive, Settings


class Intervals(Settings):
    """Confidence intervals: a bootstrap over images."""

    resamples: Annotated[int, Field(ge=100)]
    """Bootstrap samples for each interval."""
    level: Annotated[float, Field(gt=0, lt=1)]
    """Share of the resamples inside the interval."""


class Checkpoints(Settings):
    """How often a training writes a checkpoint: `minutes` or `steps`. Changes no result."""

    minutes: Positive | None = None
    """Training time between two checkpoints; longer where writing one takes long
    (`fcn.training.checkpoints.SHARE`)."""
    steps: PositiveInt | None = None
    """Steps between two checkpoints, whatever writing one takes."""

    @pydantic.model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("exactly one of `minutes: 0.1` and `steps: 500`")
        return self


class Compute(Settings):
    """What determines the numbers of a computation, beside its own settings."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    """Seeds everything random: splits, canvases, initial weights, order, augmentation, dropout."""
    backend: Literal["tensorflow", "jax"]
    """Keras' backend. TensorFlow is the fast one on a CPU; JAX is for machines with a GPU."""
    precision: Literal["float32", "mixed_bfloat16"]
    """Precision of the layers; weights, scores and the loss are float32 in both."""
    deterministic: Literal[True, False, "portable"]
    """`true`: deterministic kernels; the same settings give the same weights, bit for bit, on the
    same kind of machine. `portable`: the same on all x86-64 CPUs with AVX2 and FMA, for networks of
    the default table's size; slower (docs/training.md, "Determinism")."""
    devices: PositiveInt = 1
    """GPUs (or other devices of the backend) over which each batch is split; JAX only. Sums are
    computed in another order: results agree up to rounding."""

    @pydantic.model_validator(mode="after")
    def _several_devices_are_jax(self) -> Self:
        if self.devices > 1 and self.backend != "jax":
            raise ValueError(f"`devices: {self.devices}` with `backend: jax`, or `devices: 1`")
        return self

    @pydantic.model_validator(mode="after")
    def _portable_is_tensorflow_in_float32(self) -> Self:
        pinned = {"backend": "tensorflow", "precision": "float32"}
        for name, value in pinned.items():
            if self.deterministic == "portable" and getattr(self, name) != value:
                raise ValueError(
                    f"`deterministic: portable` with `{name}: {value}`, or `deterministic: true`"
                )
        return self


NO_EFFECT = ("checkpoints", "workers", "mirror")
"""Settings of `Common` that change no result; no stage declares them."""


class Common(Compute):
    """params.yaml: what all tables share."""

    checkpoints: Checkpoints = Checkpoints(minutes=0.1)
    intervals: Intervals
    workers: NonNegativeInt = 0
    """Processes that convert and validate; 0: one per core. Changes no result."""
    mirror: str | None = None
    """A folder or URL that is asked for archives before the publisher; the environment variable
    `FCN_MIRROR` overrides it. Changes no result."""

    def compute(self, seed: int | None = None) -> Compute:
        """Return what determines a computation, with another seed if one is given."""
        values = self.model_dump(include=set(Compute.model_fields))
        return Compute(**(values if seed is None else values | {"seed": seed}))
