"""Sections `models` and `tables` of a table file, and the file as a whole."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from fcn.settings.backbone import Backbone
from fcn.settings.data import Data, Download
from fcn.settings.network import Network, Start
from fcn.settings.published import Published
from fcn.settings.training import Training
from fcn.settings.values import Positive, Settings


class Model(Settings):
    """One trained network: a row of the table."""

    table: str
    dataset: str
    """The key in `datasets` that it learns."""
    backbone: str
    """The network: `fcn/backbones/<backbone>.py`, the same as where it starts."""
    head: str
    """The head: `fcn/heads/<head>.py`."""
    init_from: str
    """The key in `backbones` or `models` whose weights it starts from."""
    upsampling: Start | dict[str, Start] | None = None
    """How upsampling starts, for all layers or by name; where not said, as in the head's source."""
    freeze: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Layers that stay as they start, by name or pattern: `upscore2`, `conv1*`."""
    training: Training
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    """In place of params.yaml's, for one more training of a row (`tables.*.replicas`)."""


class Evaluation(Settings):
    """How the table's rows are measured."""

    split: str
    batch: PositiveInt
    pictures: NonNegativeInt
    """Pictures (input, truth, prediction, what is wrong) kept per row: the best, the median and the
    worst images, a third each."""
    scales: Annotated[tuple[Positive, ...], Field(strict=False, min_length=1)] = (1.0,)
    """Factors by which each image is resized for one more look; the softmaxes are averaged at the
    image's own size."""
    flip: bool = False
    """Whether each look is also taken at the mirrored image."""
    window: Annotated[int, Field(ge=448, multiple_of=64)] | None = None
    """Larger images are measured in overlapping tiles of this side in pixels (`fcn.inference.tiles`)."""


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
    replicas: dict[str, Annotated[tuple[str, ...], Field(strict=False, min_length=1)]] = Field(
        default_factory=dict
    )
    """Row: other models that are the same but for their seed; the spread between them counts."""
    gate: Literal["reproduced"] | None = None
    """Fail where a published cell was reproduced and no longer is; without it, only say so."""


class TableFile(Settings):
    """tables/NAME.yaml."""

    tables: dict[str, Table]
    downloads: dict[str, Download]
    datasets: dict[str, Data]
    backbones: dict[str, Backbone]
    models: dict[str, Model]
    published: dict[str, Published]

    def network(self, model: str) -> Network:
        """Return the shape of the backbone at the end of the chain that `model` starts from."""
        start = self.models[model].init_from
        return self.backbones[start].network if start in self.backbones else self.network(start)
