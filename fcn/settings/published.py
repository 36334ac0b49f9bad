"""Section `published` of a table file: the numbers of papers and posts."""

from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field

from fcn.settings.values import Settings

Text = Annotated[str, Field(min_length=3)]
Metric = Literal[
    "pixel_accuracy",
    "mean_accuracy",
    "mean_iou",
    "frequency_weighted_iou",
    "foreground_iou",
    "milliseconds",
]
"""Scores in percent (`foreground_iou`: see `fcn.scores.averaging`), or milliseconds per image."""
ConventionName = Literal[
    "berkeley",
    "detectron2",
    "zero",
    "one",
    "torchvision",
    "per image",
    "per image, one",
    "per batch of 4",
    "void as background",
]
"""The names in `fcn.scores.averaging.CONVENTIONS`; a test compares the two."""


class Published(Settings):
    """The numbers of one network in one source, and the row that they are compared with."""

    table: str
    """The name of this table file."""
    row: str | None = None
    """The key in `models` to compare with; without one, `not_run` gives the reason."""
    name: Text
    """The network's name in the source."""
    source: Text
    """Paper and table, post, or notebook."""
    confirmed: bool
    """Whether the numbers were read in the source itself; otherwise they are printed as
    unconfirmed."""
    split: Text
    """The images that the source measured on."""
    conditions: Text
    """Training data, initial weights and optimizer, as far as the source states them."""
    convention: ConventionName = "berkeley"
    """The source's averaging convention over images and classes (`fcn.scores.averaging`)."""
    values: Annotated[dict[Metric, Annotated[float, Field(gt=0)]], Field(min_length=1)]
    """The number as printed, by metric."""
    differs: Text | None = None
    """Why these numbers and the row's cannot be compared."""
    not_run: Text | None = None
    """Why no row is trained to compare with."""

    @pydantic.model_validator(mode="after")
    def _comparison_is_described(self) -> Self:
        if (self.row is None) != (self.not_run is not None):
            raise ValueError("exactly one of `row:` and `not_run:` (the reason) is required")
        if self.differs and self.not_run:
            raise ValueError("`differs:` is only allowed with `row:`")
        if self.row and "milliseconds" in self.values and not self.differs:
            raise ValueError("`differs:` is required with `milliseconds`: it names the machine")
        for metric, value in self.values.items():
            if metric != "milliseconds" and value > 100:
                raise ValueError(f"`{metric}`: got {value}, allowed: percent, up to 100")
        return self
