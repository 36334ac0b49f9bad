"""Section `backbones` of a table file: the initial weights of the first FCN."""

import math
from pathlib import PurePosixPath
from typing import Annotated, Literal, NamedTuple, Self

import pydantic
from pydantic import Field, PositiveInt

from fcn.settings.network import Network
from fcn.settings.training import Training
from fcn.settings.values import Settings

PRETRAINED = "pretrained/"
"""Prefix of a `source` that names weights, a file of fcn/datasets/pretrained/, not a data set."""
GREY_LEVELS = 1.5
"""Two means of 0..255 count as equal below this difference. Published means of ImageNet differ by
up to 1.01 for the same weights (VGG's 123.68, FCN's 122.67892); a wrong mean is off by over ten."""


class Classifier(Settings):
    """The training of the classifier that becomes a backbone."""

    side: PositiveInt
    """Height and width of the input in pixels."""
    training: Training
    """Of the classifier, over its own samples: single objects."""


class Preprocessing(NamedTuple):
    """How pixels were normalised when weights were trained; a network must do the same."""

    channel_order: str
    mean: tuple[float, ...]
    """Of 0..255, in this channel order; one number for grey pictures."""
    std: float = 1.0

    def problem(self, network: Network) -> str | None:
        """Return how `network` normalises differently, naming both sides; None if it does not."""
        mean = network.mean if isinstance(network.mean, tuple) else (network.mean,)
        channels = max(len(mean), len(self.mean))
        means = zip(_per_channel(mean, channels), _per_channel(self.mean, channels), strict=True)
        same_mean = all(abs(ours - theirs) < GREY_LEVELS for ours, theirs in means)
        same_std = math.isclose(network.std, self.std, rel_tol=1e-3)
        if same_mean and same_std and network.channel_order == self.channel_order:
            return None
        return (
            f"got channel_order {network.channel_order}, mean {list(mean)}, std {network.std}; "
            f"allowed: channel_order {self.channel_order}, mean {list(self.mean)}, std {self.std}, "
            "with which these weights were trained"
        )


def _per_channel(mean: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return mean * channels if len(mean) == 1 else mean


VGG_MEAN = (103.939, 116.779, 123.68)
"""B, G, R: K. Simonyan's gist ksimonyan/211839e770f7b538e2d8, which published the weights."""
PUBLISHED = {
    "caffe": Preprocessing("bgr", VGG_MEAN),
    "efficientnet_lite0": Preprocessing("rgb", (127.0, 127.0, 127.0), 128.0),
    "keras": Preprocessing("bgr", VGG_MEAN),
    "savedmodel": Preprocessing("bgr", VGG_MEAN),
    "slim": Preprocessing("rgb", VGG_MEAN[::-1]),
    "torchvision": Preprocessing("rgb", (123.675, 116.28, 103.53)),
}
"""Formats of one publisher each, of VGG-16 except `efficientnet_lite0`. Sources:
`preprocess_input` of keras.applications.vgg16; models/official/efficientnet/lite of tensorflow/tpu;
the graph of Udacity's SavedModel (`Processing`); TF-Slim's preprocessing/vgg_preprocessing.py; the
transforms of torchvision's IMAGENET1K_V1, 255 times [0.485, 0.456, 0.406]; the reader folds their
division by the standard deviations into conv1_1."""


class WeightsFile(Settings):
    """A file of weights in the folder `raw`."""

    format: Literal[
        "caffe", "efficientnet_lite0", "keras", "model", "savedmodel", "slim", "torchvision"
    ]
    """`efficientnet_lite0`: the file of the extra `weights`; `keras`: keras.applications' VGG-16;
    `model`: any Keras model with layers of these names; `savedmodel`: Udacity's; `slim`: TF-Slim's
    checkpoint."""
    path: str
    """In `data/raw/<raw>`: a file, a SavedModel's folder, or the prefix of a checkpoint's files."""
    scratch: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Layers that keep their random initial weights."""

    @pydantic.field_validator("path")
    @classmethod
    def _path_stays_inside(cls, path: str) -> str:
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts:
            raise ValueError("allowed: a path inside the folder `raw`")
        return path


class Backbone(Settings):
    """The initial weights of the first FCN."""

    table: str
    """The name of this table file."""
    dataset: str
    """The key in `datasets` that it will be trained on; the classifier needs its valid labels."""
    raw: str
    """The key in `downloads` whose files are read; for `source: pretrained/own`, the folder in
    `data/raw` that `dvc add` tracks."""
    source: str
    """The data set `fcn/datasets/<source>.py` of these files, which yields single objects; with
    `weights: file` the weights `fcn/datasets/pretrained/…`."""
    module: str
    """The network: `fcn/backbones/<module>.py`."""
    network: Network
    """Its shape, and what it does with the images' values."""
    weights: Literal["classifier", "file", "scratch"]
    """`classifier`: train a classifier on single objects; `file`: read a file; `scratch`: random
    weights."""
    classifier: Classifier | None = None
    """With `weights: classifier`: how that classifier is trained."""
    file: WeightsFile | None = None
    """With `weights: file`: which file, and how its layers are named."""

    @pydantic.model_validator(mode="after")
    def _weights_are_described(self) -> Self:
        for kind, group in (("classifier", self.classifier), ("file", self.file)):
            if (self.weights == kind) != (group is not None):
                raise ValueError(
                    f"`{kind}:` is required with, and only allowed with, `weights: {kind}`"
                )
        if (self.file is not None) != self.source.startswith(PRETRAINED):
            raise ValueError(
                f"`source: {PRETRAINED}…` is required with, and only allowed with, `weights: file`"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _network_fits_the_file(self) -> Self:
        published = PUBLISHED.get(self.file.format) if self.file else None
        if self.file is None or published is None:
            return self
        if problem := published.problem(self.network):
            raise ValueError(
                f"`network:` does not fit `file.format: {self.file.format}`: {problem}"
            )
        widths = {self.network.width, self.network.fc_width or self.network.width}
        if widths != {1}:
            raise ValueError(
                f"`network.width`: got {sorted(widths)}, allowed with `file.format: "
                f"{self.file.format}`: 1, since the file has all published channels"
            )
        return self
