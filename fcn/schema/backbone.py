"""Section `backbones` of a table file: where the first FCN starts."""

from typing import Literal, Self

import pydantic
from pydantic import PositiveInt

from fcn.schema.network import Network
from fcn.schema.training import Training
from fcn.schema.values import Settings


class Classifier(Settings):
    """The training of the classifier that becomes a backbone."""

    side: PositiveInt
    """Height and width of its input in pixels."""
    training: Training


class Backbone(Settings):
    """Where the first FCN starts."""

    table: str
    dataset: str
    """The key in `datasets` that it will be trained on; the classifier waits for its verdict."""
    raw: str
    """The key in `downloads` whose files are read."""
    source: str
    """The data set of these files, `fcn/datasets/<source>.py`: it knows the single objects."""
    module: str
    """The network: `fcn/backbones/<module>.py`."""
    network: Network
    weights: Literal["classifier", "scratch"]
    """`classifier`: train one on single objects; `scratch`: random weights."""
    classifier: Classifier | None = None

    @pydantic.model_validator(mode="after")
    def _classifier_is_described(self) -> Self:
        if (self.weights == "classifier") != (self.classifier is not None):
            raise ValueError("`classifier:` stands there exactly when `weights: classifier`")
        return self
