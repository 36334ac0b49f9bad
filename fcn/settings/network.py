"""The shape of a network."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field, PositiveInt

from fcn.settings.values import Finite, Fraction, Positive, Settings

Padding = Literal["same", "pad100"]
Factor = Annotated[float, Field(gt=0, le=4)]
Means = Annotated[tuple[Finite, Finite, Finite], Field(strict=False)]
Start = Literal["bilinear", "random"]
PAD100_MOST = 7
"""The side of pool5 over an image of one pixel that was padded by 100: no fc6 may be larger."""


class Network(Settings):
    """The shape of a backbone, and what it does to an image first."""

    width: Positive
    """Factor on all channel counts; 1 is VGG-16 as published."""
    fc: bool = True
    """With the layers that were dense in the classifier: fc6 and fc7."""
    fc_width: Positive | None = None
    """Factor on the channels of those; `width` where not given."""
    fc6_kernel: PositiveInt
    """Side of fc6's kernel at stride 32; 7 as published."""
    dropout: Fraction
    """After fc6 and fc7; 0.5 as published."""
    channel_order: Literal["rgb", "bgr"] = "rgb"
    """Channels as the weights know them; images come as RGB, and the model turns them."""
    mean: Finite | Means
    """Subtracted from pixel values 0..255: one number, or one per channel, in this `channel_order`."""
    std: Positive
    """Divides pixel values after that."""
    padding: Padding = "same"
    """`same`: every layer keeps its map over the image; `pad100`: as the paper's code, which pads
    the image by 100 pixels and cuts the scores out of the middle."""
    resize: Factor = 1.0
    """Images change their size by this factor inside the model, and logits are brought back: below
    1 they are averaged down, above 1 pixels are repeated, which halves each stride at 2."""

    @pydantic.field_validator("mean", mode="wrap")
    @classmethod
    def _mean_is_one_of_two(cls, value: Any, check: Callable[[Any], Any]) -> Any:
        try:
            return check(value)
        except pydantic.ValidationError:
            raise ValueError("a finite number, or one for each of three channels") from None

    @pydantic.model_validator(mode="after")
    def _fc6_fits_into_the_padding(self) -> Self:
        if self.padding == "pad100" and (self.fc6_kernel > PAD100_MOST or not self.fc6_kernel % 2):
            raise ValueError(
                f"fc6_kernel: got {self.fc6_kernel}, allowed with `padding: pad100`: 1, 3, 5, 7"
            )
        return self
