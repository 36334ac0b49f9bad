"""How one network is trained."""

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
    """One training. What is not said is Adam, and a rate that falls as a cosine to 0."""

    epochs: PositiveInt
    batch: PositiveInt
    """Examples per step."""
    accumulate: PositiveInt = 1
    """Steps whose gradients are averaged before the weights move (Caffe's `iter_size`): `batch: 1,
    accumulate: 20` takes the memory of one image and moves as often as a batch of 20."""

    optimizer: Literal["adam", "sgd"] = "adam"
    momentum: Fraction | None = None
    """Of `sgd`, and only there; 0.9 in CVPR 2015, 0.99 in PAMI 2016 ("heavy")."""
    nesterov: bool = False
    """Look ahead along the momentum."""
    bias_rate: Positive = 1.0
    """Factor on the learning rate of biases; 2 as published."""
    weight_decay: Weight = 0.0
    """L2: so many times each kernel is added to its gradient, as if half of it times the sum of
    squares stood in the loss (Caffe's form, not AdamW's decoupled one). Biases have none. 5e-4 as
    published."""

    learning_rate: Positive
    """The highest, reached at the end of the warm-up."""
    warmup: Fraction
    """Share of all steps over which the learning rate rises from 0."""
    schedule: Literal["cosine", "constant", "poly", "steps"] = "cosine"
    """After the warm-up: `cosine` and `poly` fall to 0 (`poly` as (1 - share) ** power), `steps`
    is multiplied by `gamma` at each of `milestones`."""
    power: Positive | None = None
    """Of `poly`, and only there; 0.9 is usual."""
    milestones: Shares | None = None
    """Of `steps`, and only there: shares of the steps after the warm-up, rising."""
    gamma: Positive = 0.1
    """Of `steps`."""

    reduction: Literal["mean", "sum"] = "mean"
    """The loss of a step: the mean over its pixels that are not ignored, or their sum. Long et al.
    summed (`normalize: false`); Caffe then divides by the batch, which was 1."""
    class_weights: ClassWeights | None = None
    """What a pixel counts, by its true class: a weight for each class in their order; some by name,
    while the others count 1; or `median-frequency`, from the training split (`fcn.training.class_weights`)."""

    translate: NonNegativeInt
    """Largest random translation in pixels, each way; image and mask move together."""
    flip: bool = False
    """Left and right change places in half of the examples."""
    scale: Factors | None = None
    """Lowest and highest factor on height and width, drawn evenly; the result is cut or padded to
    `crop`, or else to what it was."""
    crop: Sides | None = None
    """Height and width in pixels of a piece at a random place; smaller images are padded, black and
    ignored. Needed where images of one batch differ in size."""
    brightness: Fraction = 0.0
    """Colours are multiplied by up to so much more or less than 1."""
    contrast: Fraction = 0.0
    """The same for their distance from the image's mean grey."""
    saturation: Fraction = 0.0
    """The same for their distance from their own grey; nothing in grey images."""

    patience: PositiveInt | None = None
    """Stop after so many epochs in a row without a better score on the validation split (mean IoU;
    a classifier's accuracy); without it, all epochs are trained."""
    keep: Literal["last", "best"] = "last"
    """Which weights the model ends with: the last epoch's or those of the best such score."""

    @pydantic.field_validator("class_weights", mode="wrap")
    @classmethod
    def _class_weights_are_one_of_three(cls, value: Any, check: Callable[[Any], Any]) -> Any:
        try:
            weights = check(value)
        except pydantic.ValidationError:
            raise ValueError(
                "`median-frequency`, a list of a weight for each class, or weights by class name; "
                "finite and at least 0"
            ) from None
        numbers = weights.values() if isinstance(weights, dict) else weights
        if isinstance(weights, tuple) and not any(numbers):
            raise ValueError("weights of which one is above 0")
        return weights

    @pydantic.field_validator("scale")
    @classmethod
    def _scale_rises(cls, scale: tuple[float, float] | None) -> tuple[float, float] | None:
        if scale and scale[0] > scale[1]:
            raise ValueError("the lowest factor, then the highest")
        return scale

    @pydantic.field_validator("milestones")
    @classmethod
    def _milestones_rise(cls, milestones: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if milestones and list(milestones) != sorted(set(milestones)):
            raise ValueError("shares that rise")
        return milestones

    @pydantic.model_validator(mode="after")
    def _settings_of_one_choice_stand_with_it(self) -> Self:
        pairs = (
            ("momentum", self.momentum is not None, "optimizer", self.optimizer, "sgd"),
            ("power", self.power is not None, "schedule", self.schedule, "poly"),
            ("milestones", self.milestones is not None, "schedule", self.schedule, "steps"),
        )
        for name, stands, of, chosen, choice in pairs:
            if stands != (chosen == choice):
                raise ValueError(f"`{name}:` stands there exactly when `{of}: {choice}`")
        if self.nesterov and not self.momentum:
            raise ValueError("`nesterov: true` needs a `momentum:` above 0")
        if "gamma" in self.model_fields_set and self.milestones is None:
            raise ValueError("`gamma:` stands there only with `schedule: steps`")
        return self
