"""Section `published` of a table file: what papers and posts say, as data."""

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
"""Scores in percent (`foreground_iou`: `fcn.scores.averaging.likely_iou`), or milliseconds per image."""
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
"""The names in `fcn.scores.averaging.CONVENTIONS`; a test holds the two lists together."""


class Published(Settings):
    """The numbers of one network in one source, and what stands beside them here."""

    table: str
    row: str | None = None
    """The key in `models` that stands beside them; none: nothing here does, `not_run` says why."""
    name: Text
    """The network as the source calls it."""
    source: Text
    """Where the numbers stand: paper and table, post, notebook."""
    confirmed: bool
    """Whether they were read there; otherwise they are printed as unconfirmed."""
    split: Text
    """What the source measured on."""
    conditions: Text
    """How it trained: data, weights, optimizer, as far as the source says."""
    convention: ConventionName = "berkeley"
    """How the source makes one number of all images and classes (`fcn.scores.averaging`)."""
    values: Annotated[dict[Metric, Annotated[float, Field(gt=0)]], Field(min_length=1)]
    """Metric: the number as printed there."""
    differs: Text | None = None
    """Why the row's numbers and these cannot be compared."""
    not_run: Text | None = None
    """Why no row here is trained that could stand beside them."""

    @pydantic.model_validator(mode="after")
    def _what_is_compared(self) -> Self:
        if (self.row is None) != (self.not_run is not None):
            raise ValueError("exactly one of `row:` and `not_run:`, which says why there is no row")
        if self.differs and self.not_run:
            raise ValueError("`differs:` stands beside `row:`; `not_run:` says it all")
        if self.row and "milliseconds" in self.values and not self.differs:
            raise ValueError("`differs:` for `milliseconds`: on which machine they were measured")
        for metric, value in self.values.items():
            if metric != "milliseconds" and value > 100:
                raise ValueError(f"percent, up to 100, for `{metric}`; got {value}")
        return self
