"""Sections `models` and `tables` of a table file, and the file as a whole."""

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from fcn.schema.backbone import Backbone
from fcn.schema.data import Data, Download
from fcn.schema.network import Network, Start
from fcn.schema.training import Training
from fcn.schema.values import Settings


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
    upsampling: Start | dict[str, Start] | None = None
    """How upsampling starts, for all layers or by name; where not said, as in the head's source."""
    freeze: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Layers that stay as they start, by name or pattern: `upscore2`, `conv1*`."""
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
