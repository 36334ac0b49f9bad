"""Your own weights: put the file into `data/raw/NAME` and run `dvc add data/raw/NAME`."""

from fcn.datasets.shared.dataset import Pretrained

PRETRAINED = Pretrained(
    title="Your own weights",
    archives=(),
    licence="the owner's",
    citation="the owner's",
)
