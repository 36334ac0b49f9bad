"""Data sets found by name, in the variant that the settings ask for.

There is no list to keep: a file in `fcn/datasets/` is a data set. Its value is `DATASET`; label
conventions other than that one stand in a dict `LABELS`, the first of which is `DATASET`.
"""

import importlib
import pkgutil

import fcn.datasets
from fcn import subset
from fcn.dataset import Dataset
from fcn.schema.data import Convert
from fcn.text import nearest


def names() -> list[str]:
    """Names of all data sets: the files of `fcn/datasets/`."""
    return sorted(module.name for module in pkgutil.iter_modules(fcn.datasets.__path__))


def load(name: str, convert: Convert | None = None) -> Dataset:
    """Return the data set of the file `fcn/datasets/<name>.py` as `convert` wants it.

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
        dataset = module.described(convert.folder)
    if convert.labels is not None:
        conventions: dict[str, Dataset] = getattr(module, "LABELS", {})
        if convert.labels not in conventions:
            near = nearest(convert.labels, conventions)
            raise ValueError(f"{name} has no label convention {convert.labels!r}; {near}")
        dataset = conventions[convert.labels]
    if convert.classes is not None:
        dataset = subset.keep(dataset, convert.classes)
    return dataset
