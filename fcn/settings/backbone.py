"""Section `backbones` of a table file: where the first FCN starts."""

import math
from pathlib import PurePosixPath
from typing import Annotated, Literal, NamedTuple, Self

import pydantic
from pydantic import Field, PositiveInt

from fcn.settings.network import Network
from fcn.settings.training import Training
from fcn.settings.values import Settings

PRETRAINED = "pretrained/"
"""How `source` begins where it is no data set but weights: a file of fcn/datasets/pretrained/."""
GREY_LEVELS = 1.5
"""Means of 0..255 that differ by less are one: authors who averaged ImageNet, also for the same
weights, differ by up to 1.01 (VGG's 123.68, FCN's 122.67892); any mistake is over ten."""


class Classifier(Settings):
    """The training of the classifier that becomes a backbone."""

    side: PositiveInt
    """Height and width of its input in pixels."""
    training: Training


class Preprocessing(NamedTuple):
    """What weights were trained to see; a network that shows them something else is refused."""

    channel_order: str
    mean: tuple[float, ...]
    """Of 0..255, in this order; one number for grey pictures."""
    std: float = 1.0

    def problem(self, network: Network) -> str | None:
        """Return what of `network` differs, naming both sides; None if nothing does."""
        mean = network.mean if isinstance(network.mean, tuple) else (network.mean,)
        count = max(len(mean), len(self.mean))
        pairs = zip(_stretched(mean, count), _stretched(self.mean, count), strict=True)
        near = all(abs(one - other) < GREY_LEVELS for one, other in pairs)
        scaled = math.isclose(network.std, self.std, rel_tol=1e-3)
        if near and scaled and network.channel_order == self.channel_order:
            return None
        return (
            f"`channel_order: {self.channel_order}, mean: {list(self.mean)}, std: {self.std}`, which these "
            f"weights were trained with; got channel_order {network.channel_order}, mean {list(mean)}, std "
            f"{network.std}"
        )


def _stretched(mean: tuple[float, ...], count: int) -> tuple[float, ...]:
    return mean * count if len(mean) == 1 else mean


VGG_MEAN = (103.939, 116.779, 123.68)
"""B, G, R: K. Simonyan's gist ksimonyan/211839e770f7b538e2d8, which published the weights."""
PUBLISHED = {
    "caffe": Preprocessing("bgr", VGG_MEAN),
    "keras": Preprocessing("bgr", VGG_MEAN),
    "savedmodel": Preprocessing("bgr", VGG_MEAN),
    "slim": Preprocessing("rgb", VGG_MEAN[::-1]),
    "torchvision": Preprocessing("rgb", (123.675, 116.28, 103.53)),
}
"""Formats of one publisher each, all of VGG-16: `preprocess_input` of keras.applications.vgg16; the
graph of Udacity's SavedModel (`Processing`); TF-Slim's preprocessing/vgg_preprocessing.py; the
transforms of torchvision's IMAGENET1K_V1, 255 times [0.485, 0.456, 0.406], whose division by the
standard deviations is in the weights as they are read."""


class WeightsFile(Settings):
    """A file of weights in the folder `raw`."""

    format: Literal["caffe", "keras", "model", "savedmodel", "slim", "torchvision"]
    """`keras`: keras.applications' VGG-16; `model`: any Keras model with layers of these names;
    `savedmodel`: Udacity's; `slim`: TF-Slim's checkpoint."""
    path: str
    """In `data/raw/<raw>`: a SavedModel's folder, the beginning of a checkpoint's names, a file."""
    scratch: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Layers that keep their random start."""

    @pydantic.field_validator("path")
    @classmethod
    def _path_stays_inside(cls, path: str) -> str:
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts:
            raise ValueError("a path inside the folder `raw`")
        return path


class Backbone(Settings):
    """Where the first FCN starts."""

    table: str
    dataset: str
    """The key in `datasets` that it will be trained on; the classifier waits for its verdict."""
    raw: str
    """The key in `downloads` whose files are read; for `source: pretrained/own`, the folder in
    `data/raw` that `dvc add` tracks."""
    source: str
    """What these files are: the data set `fcn/datasets/<source>.py`, which knows the single
    objects; with `weights: file` the weights `fcn/datasets/pretrained/…`."""
    module: str
    """The network: `fcn/backbones/<module>.py`."""
    network: Network
    weights: Literal["classifier", "file", "scratch"]
    """`classifier`: train one on single objects; `file`: take them from a file; `scratch`: random
    weights."""
    classifier: Classifier | None = None
    file: WeightsFile | None = None

    @pydantic.model_validator(mode="after")
    def _start_is_described(self) -> Self:
        for kind, group in (("classifier", self.classifier), ("file", self.file)):
            if (self.weights == kind) != (group is not None):
                raise ValueError(f"`{kind}:` stands there exactly when `weights: {kind}`")
        if (self.file is not None) != self.source.startswith(PRETRAINED):
            raise ValueError(f"`source: {PRETRAINED}…` stands there exactly when `weights: file`")
        return self

    @pydantic.model_validator(mode="after")
    def _network_is_the_files(self) -> Self:
        published = PUBLISHED.get(self.file.format) if self.file else None
        if self.file is None or published is None:
            return self
        if problem := published.problem(self.network):
            raise ValueError(f"with `file.format: {self.file.format}` `network:` has {problem}")
        widths = {self.network.width, self.network.fc_width or self.network.width}
        if widths != {1}:
            raise ValueError(
                f"with `file.format: {self.file.format}` `network.width: 1`: the file has all of "
                f"VGG-16's channels; got {sorted(widths)}"
            )
        return self
