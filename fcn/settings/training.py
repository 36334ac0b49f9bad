"""The training of one network."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field, NonNegativeInt, PositiveInt

from fcn.settings.values import Fraction, Positive, Settings

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
ClassWeights = (
    Literal["median-frequency"]
    | dict[str, Weight]
    | Annotated[tuple[Weight, ...], Field(strict=False, min_length=1)]
)
Sides = Annotated[tuple[PositiveInt, PositiveInt], Field(strict=False)]
Factors = Annotated[tuple[Positive, Positive], Field(strict=False)]
Shares = Annotated[tuple[Fraction, ...], Field(strict=False, min_length=1)]


class Training(Settings):
    """One training. Default: Adam, cosine schedule."""

    epochs: PositiveInt
    """Passes over the training split."""
    batch: PositiveInt
    """Samples per step."""
    accumulate: PositiveInt = 1
    """Steps whose gradients are averaged into one update of the weights (Caffe's `iter_size`).
    `batch: 1, accumulate: 20` needs the memory of one image and updates as a batch of 20."""

    optimizer: Literal["adam", "sgd"] = "adam"
    """Keras' optimizer."""
    momentum: Fraction | None = None
    """Required with, and only allowed with, `sgd`; 0.9 in CVPR 2015, 0.99 in PAMI 2016."""
    nesterov: bool = False
    """Nesterov momentum."""
    bias_rate: Positive = 1.0
    """Factor on the learning rate of biases; 2 as published."""
    backbone_rate: Positive = 1.0
    """Factor on the learning rate of the layers of `fcn/backbones/<backbone>.py` (with VGG-16, fc6
    and fc7 too), whichever model initialises the network. To train them not at all: `freeze`."""
    weight_decay: Weight = 0.0
    """L2 regularisation of kernels, not of biases: this factor times the kernel is added to its
    gradient (Caffe's form, not AdamW's decoupled one). 5e-4 as published."""

    ema: Fraction | None = None
    """Exponential moving average of the trained weights: after each update of the weights,
    average = ema * average + (1 - ema) * weights, from the weights after the first update on. The
    validation of each epoch and the saved model use the average; the training itself does not."""

    learning_rate: Positive
    """The peak learning rate, reached at the end of the warm-up."""
    warmup: Fraction
    """Share of all steps over which the learning rate rises linearly from 0."""
    schedule: Literal["cosine", "constant", "poly", "steps"] = "cosine"
    """After the warm-up: `cosine` and `poly` fall to 0 (`poly` as (1 - share) ** power); `steps`
    multiplies the rate by `gamma` at each of `milestones`."""
    power: Positive | None = None
    """Required with `poly`, and only allowed there; 0.9 is usual."""
    milestones: Shares | None = None
    """Required with `steps`, and only allowed there: shares of the steps after the warm-up,
    rising."""
    gamma: Positive = 0.1
    """Only allowed with `steps`."""

    reduction: Literal["mean", "sum"] = "mean"
    """The loss of a step: mean or sum over its pixels that are not ignored. Long et al. sum
    (`normalize: false`); Caffe then divides by the batch, which was 1."""
    class_weights: ClassWeights | None = None
    """Weight of a pixel in the loss, by its true class: a list in class order; weights by name, 1
    for the others; or `median-frequency`, computed from the training split
    (`fcn.training.class_weights`)."""

    translate: NonNegativeInt
    """Largest random translation in pixels, in each direction; image and mask move together."""
    flip: bool = False
    """Mirror half of the samples left to right."""
    scale: Factors | None = None
    """Lowest and highest random factor on height and width, uniform; the result is cropped or
    padded to `crop`, by default to the original size."""
    crop: Sides | None = None
    """Height and width in pixels of a random crop; smaller images are padded with black pixels that
    the loss ignores. Required where images of one batch differ in size."""
    brightness: Fraction = 0.0
    """Colours are multiplied by a random factor between 1 - b and 1 + b."""
    contrast: Fraction = 0.0
    """The same for the distance of colours from the image's mean grey."""
    saturation: Fraction = 0.0
    """The same for the distance of colours from their own grey; no effect on grey images."""

    patience: PositiveInt | None = None
    """Early stopping: end after so many epochs without a better score on the validation split (mean
    IoU; accuracy of a classifier). Default: train all epochs."""
    keep: Literal["last", "best"] = "last"
    """The weights of the saved model: of the last epoch, or of the best such score."""

    @pydantic.field_validator("class_weights", mode="wrap")
    @classmethod
    def _class_weights_are_one_of_three(cls, value: Any, check: Callable[[Any], Any]) -> Any:
        try:
            weights = check(value)
        except pydantic.ValidationError:
            raise ValueError(
                "allowed: `median-frequency`, a list of a weight for each class, or weights by "
                "class name; finite and at least 0"
            ) from None
        numbers = weights.values() if isinstance(weights, dict) else weights
        if isinstance(weights, tuple) and not any(numbers):
            raise ValueError("allowed: weights of which at least one is above 0")
        return weights

    @pydantic.field_validator("scale")
    @classmethod
    def _scale_rises(cls, scale: tuple[float, float] | None) -> tuple[float, float] | None:
        if scale and scale[0] > scale[1]:
            raise ValueError("allowed: the lowest factor, then the highest")
        return scale

    @pydantic.field_validator("milestones")
    @classmethod
    def _milestones_rise(cls, milestones: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if milestones and list(milestones) != sorted(set(milestones)):
            raise ValueError("allowed: rising shares")
        return milestones

    @pydantic.model_validator(mode="after")
    def _dependent_settings_fit(self) -> Self:
        dependent = (
            ("momentum", self.momentum is not None, "optimizer", self.optimizer, "sgd"),
            ("power", self.power is not None, "schedule", self.schedule, "poly"),
            ("milestones", self.milestones is not None, "schedule", self.schedule, "steps"),
        )
        for name, is_set, setting, value, needed in dependent:
            if is_set != (value == needed):
                raise ValueError(
                    f"`{name}:` is required with, and only allowed with, `{setting}: {needed}`"
                )
        if self.nesterov and not self.momentum:
            raise ValueError("`nesterov: true` requires a `momentum:` above 0")
        if "gamma" in self.model_fields_set and self.milestones is None:
            raise ValueError("`gamma:` is only allowed with `schedule: steps`")
        return self
