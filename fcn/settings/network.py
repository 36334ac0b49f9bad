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
"""The side of pool5 for an image of one pixel, padded by 100: the largest possible fc6 kernel."""


class Network(Settings):
    """The shape of a backbone and the normalisation of its input."""

    width: Positive
    """Factor on all channel counts; 1: as published."""
    fc: bool = True
    """Whether the layers that were dense in the classifier, fc6 and fc7, are kept."""
    fc_width: Positive | None = None
    """Factor on the channels of fc6 and fc7; default: `width`."""
    fc6_kernel: PositiveInt
    """Side of fc6's kernel, in positions at stride 32; 7 as published."""
    dropout: Fraction
    """Dropout rate after the layers before the scores; 0.5 as published for fc6 and fc7."""
    channel_order: Literal["rgb", "bgr"] = "rgb"
    """Channel order of the weights; images are RGB, and the model reorders them."""
    mean: Finite | Means
    """Subtracted from pixel values 0..255: one number, or one per channel in `channel_order`."""
    std: Positive
    """Divides pixel values after the mean was subtracted."""
    padding: Padding = "same"
    """`same`: every layer pads, and feature maps stay aligned with the image; `pad100`: as the
    paper's code, which pads the image by 100 pixels and crops the scores."""
    batch_norm: Literal["folded", "trained"] = "folded"
    """`folded`: batch normalisation is part of the convolutions' weights, with the statistics of
    the file; `trained`: its own layers, with the statistics of each batch (EfficientNet-Lite0)."""
    resize: Factor = 1.0
    """The model resizes images by this factor, and logits back to the image's size. Each new pixel
    is the mean over the area that it covers; at 2 the strides are halved."""

    @pydantic.field_validator("mean", mode="wrap")
    @classmethod
    def _mean_is_one_or_three_numbers(cls, value: Any, check: Callable[[Any], Any]) -> Any:
        try:
            return check(value)
        except pydantic.ValidationError:
            raise ValueError(
                "allowed: a finite number, or one for each of three channels"
            ) from None

    @pydantic.model_validator(mode="after")
    def _fc6_fits_the_padding(self) -> Self:
        if self.padding == "pad100" and (self.fc6_kernel > PAD100_MOST or not self.fc6_kernel % 2):
            raise ValueError(
                f"fc6_kernel: got {self.fc6_kernel}, allowed with `padding: pad100`: 1, 3, 5, 7"
            )
        return self
