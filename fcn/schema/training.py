"""How one network is trained."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from fcn.schema.values import Fraction, Positive, Settings


class Training(Settings):
    """One training: Adam, learning rate rising over the warm-up, then falling as a cosine to 0."""

    epochs: PositiveInt
    batch: PositiveInt
    """Examples per step."""
    learning_rate: Positive
    """The highest, reached at the end of the warm-up."""
    warmup: Fraction
    """Share of all steps over which the learning rate rises from 0."""
    shift: NonNegativeInt
    """Largest random shift in pixels, each way; image and mask move together."""
    patience: PositiveInt | None = None
    """Stop after so many epochs in a row without a better score on the validation split (mean IoU;
    a classifier's accuracy); without it, all epochs are trained."""
    keep: Literal["last", "best"] = "last"
    """Which weights the model ends with: the last epoch's or those of the best such score."""
