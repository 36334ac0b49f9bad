"""Sections `backbones`, `models` and `tables` of a table file, and the file as a whole."""

from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field, NonNegativeInt, PositiveInt

from fcn.schema.data import Data, Download
from fcn.schema.values import Finite, Fraction, Positive, Settings


class Network(Settings):
    """The shape of a backbone."""

    width: Positive
    """Factor on all channel counts; 1 is VGG-16 as published."""
    fc6_kernel: PositiveInt
    """Side of fc6's kernel at stride 32; 7 as published."""
    dropout: Fraction
    """After fc6 and fc7; 0.5 as published."""
    mean: Finite
    """Subtracted from pixel values 0..255."""
    scale: Positive
    """Divides pixel values after that."""


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


class Model(Settings):
    """One trained network: a row of the table."""

    table: str
    dataset: str
    """The key in `datasets` that it learns."""
    backbone: str
    """The network: `fcn/backbones/<backbone>.py`, the same as where it starts."""
    head: str
    """The head: `fcn/heads/<head>.py`."""
    start: str
    """The key in `backbones` or `models` whose weights it starts from."""
    training: Training


class Evaluation(Settings):
    """How the table's rows are measured."""

    split: str
    batch: PositiveInt
    pictures: NonNegativeInt
    """Pictures (input, truth, prediction) kept per row."""


class Table(Settings):
    """What the table shows."""

    title: str
    dataset: str
    """The key in `datasets` that the rows are measured on."""
    source: str
    """Its `module`, whose citation is printed."""
    evaluation: Evaluation
    rows: Annotated[dict[str, str], Field(min_length=1)]
    """Model key: name as printed, from top to bottom."""


class TableFile(Settings):
    """tables/NAME.yaml."""

    tables: dict[str, Table]
    downloads: dict[str, Download]
    datasets: dict[str, Data]
    backbones: dict[str, Backbone]
    models: dict[str, Model]

    def network(self, model: str) -> Network:
        """Return the shape of the backbone at the end of the chain that `model` starts from."""
        start = self.models[model].start
        return self.backbones[start].network if start in self.backbones else self.network(start)
