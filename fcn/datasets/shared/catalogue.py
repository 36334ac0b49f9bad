"""Data sets and pretrained weights, found by name.

A file in `fcn/datasets/` is a data set; no list names it. Its value is `DATASET`. A data set with
several label conventions has a dict `LABELS`, whose first value is `DATASET`.
"""

import importlib
import pkgutil

import fcn.datasets
import fcn.datasets.pretrained
from fcn.common.text import nearest
from fcn.datasets.shared import subset
from fcn.datasets.shared.archive import Archive
from fcn.datasets.shared.dataset import Dataset, Pretrained
from fcn.settings.backbone import PRETRAINED
from fcn.settings.data import Convert


def names() -> list[str]:
    """Return the names of all data sets: the files of `fcn/datasets/`."""
    modules = pkgutil.iter_modules(fcn.datasets.__path__)
    return sorted(module.name for module in modules if not module.ispkg)


def load(name: str, convert: Convert | None = None) -> Dataset:
    """Return the data set of the file `fcn/datasets/<name>.py` with the settings `convert`.

    Raises:
        ValueError: there is no such file, convention or class.
    """
    if name not in names():
        raise ValueError(f"no data set {name!r} in fcn/datasets/; {nearest(name, names())}")
    module = importlib.import_module(f"fcn.datasets.{name}")
    dataset: Dataset = module.DATASET
    if convert is None:
        return dataset
    if convert.folder is not None:
        dataset = module.dataset_of(convert.folder)
    if convert.labels is not None:
        conventions: dict[str, Dataset] = getattr(module, "LABELS", {})
        if convert.labels not in conventions:
            near = nearest(convert.labels, conventions)
            raise ValueError(f"{name} has no label convention {convert.labels!r}; {near}")
        dataset = conventions[convert.labels]
    if convert.classes is not None:
        dataset = subset.keep(dataset, convert.classes)
    return dataset


def pretrained(name: str) -> Pretrained:
    """Return the weights of the file `fcn/datasets/<name>.py`; `name` is `pretrained/…`.

    Raises:
        ValueError: there is no such file.
    """
    modules = pkgutil.iter_modules(fcn.datasets.pretrained.__path__)
    weights = [f"{PRETRAINED}{module.name}" for module in modules]
    if name not in weights:
        raise ValueError(f"no weights {name!r} in fcn/datasets/; {nearest(name, weights)}")
    module = importlib.import_module(f"fcn.datasets.{name.replace('/', '.')}")
    published: Pretrained = module.PRETRAINED
    return published


def archives(name: str) -> tuple[Archive, ...]:
    """Return the archives of a data set, or of `pretrained/…` weights.

    Raises:
        ValueError: there is no such file.
    """
    return (pretrained(name) if name.startswith(PRETRAINED) else load(name)).archives
