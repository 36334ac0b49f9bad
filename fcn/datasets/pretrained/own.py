"""Weights that a person brings: put the file into `data/raw/NAME` and `dvc add data/raw/NAME`."""

from fcn.datasets.shared.dataset import Pretrained

PRETRAINED = Pretrained(
    title="One's own weights",
    archives=(),
    licence="the owner's",
    citation="the owner's",
)
