"""Sections `models` and `tables` of a table file, and the file as a whole."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from fcn.settings.backbone import Backbone
from fcn.settings.data import Data, Download
from fcn.settings.network import Network, Start
from fcn.settings.published import Published
from fcn.settings.training import Training
from fcn.settings.values import Positive, Settings

TILE_STRIDE, SMALLEST_TILE = 64, 448
"""Allowed tiles, in pixels; a test compares them with `fcn.inference.tiles`."""


class Model(Settings):
    """One network to train: a row of the table, or a step towards one."""

    table: str
    """The name of this table file."""
    dataset: str
    """The key in `datasets` that it is trained on."""
    backbone: str
    """The file `fcn/backbones/<backbone>.py`, the same as that of `network`."""
    head: str
    """The file `fcn/heads/<head>.py`."""
    init_from: str
    """The key in `backbones` or `models` whose weights initialise it."""
    network: str
    """The key in `backbones` at the root of that chain; its `network:` is this model's shape."""
    upsampling: Start | dict[str, Start] | None = None
    """Initialisation of the upsampling layers, for all or by name; default: as in the head's
    source."""
    freeze: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Layers that are not trained, by name or pattern: `upscore2`, `conv1*`."""
    training: Training
    """How it is trained."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    """Replaces params.yaml's seed, for a replica of a row (`tables.*.replicas`)."""


class Evaluation(Settings):
    """How the table's rows are evaluated."""

    split: str
    """The split that the table reports."""
    batch: PositiveInt
    """Images per forward pass."""
    pictures: NonNegativeInt
    """Pictures (input, truth, prediction, errors) per row: of the best, the median and the worst
    images, a third each."""
    scales: Annotated[tuple[Positive, ...], Field(strict=False, min_length=1)] = (1.0,)
    """Test-time augmentation: factors by which each image is resized; the softmax outputs are
    averaged at the image's own size."""
    flip: bool = False
    """Test-time augmentation: whether the mirrored image is averaged in as well."""
    window: Annotated[int, Field(ge=SMALLEST_TILE, multiple_of=TILE_STRIDE)] | None = None
    """Side in pixels of the overlapping tiles in which larger images are evaluated
    (`fcn.inference.tiles`)."""


class Table(Settings):
    """The contents of one table."""

    title: str
    """The table's heading."""
    dataset: str
    """The key in `datasets` that the rows are evaluated on."""
    source: str
    """Its `module`; the table prints its citation."""
    evaluation: Evaluation
    """How its rows are evaluated."""
    rows: Annotated[dict[str, str], Field(min_length=1)]
    """Printed name by model key, from top to bottom."""
    replicas: dict[str, Annotated[tuple[str, ...], Field(strict=False, min_length=1)]] = Field(
        default_factory=dict
    )
    """Replicas by row: models that differ from it in their seed only; their spread is reported."""
    gate: Literal["reproduced"] | None = None
    """Whether the stage fails if a published cell was reproduced before and no longer is; default:
    a warning."""


class TableFile(Settings):
    """tables/NAME.yaml."""

    tables: dict[str, Table]
    """The table itself; its key is the file's name."""
    downloads: dict[str, Download]
    """What is downloaded."""
    datasets: dict[str, Data]
    """The data sets, converted and validated."""
    backbones: dict[str, Backbone]
    """The initial weights."""
    models: dict[str, Model]
    """The networks to train."""
    published: dict[str, Published]
    """The numbers of papers and posts."""

    def network(self, model: str) -> Network:
        """Return the shape of the backbone under `model`."""
        return self.backbones[self.models[model].network].network
