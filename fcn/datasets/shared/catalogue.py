"""Data sets found by name, in the variant that the settings ask for; pretrained weights as well.

There is no list to keep: a file in `fcn/datasets/` is a data set. Its value is `DATASET`; label
conventions other than that one stand in a dict `LABELS`, the first of which is `DATASET`.
"""

import importlib
import pkgutil

import fcn.datasets
import fcn.datasets.pretrained
from fcn.common.text import nearest
from fcn.datasets.shared import subset
from fcn.datasets.shared.dataset import Dataset, Pretrained
from fcn.download.archive import Archive
from fcn.settings.backbone import PRETRAINED
from fcn.settings.data import Convert


def names() -> list[str]:
    """Names of all data sets: the files of `fcn/datasets/`."""
    modules = pkgutil.iter_modules(fcn.datasets.__path__)
    return sorted(module.name for module in modules if not module.ispkg)


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


def pretrained(name: str) -> Pretrained:
    """Return the weights of the file `fcn/datasets/<name>.py`; `name` is `pretrained/…`.

    Raises:
        ValueError: there is no such file.
    """
    modules = pkgutil.iter_modules(fcn.datasets.pretrained.__path__)
    known = [f"{PRETRAINED}{module.name}" for module in modules]
    if name not in known:
        raise ValueError(f"no weights {name!r} in fcn/datasets/; {nearest(name, known)}")
    found: Pretrained = importlib.import_module(f"fcn.datasets.{name.replace('/', '.')}").PRETRAINED
    return found


def archives(name: str) -> tuple[Archive, ...]:
    """Return what the publisher of a data set, or of `pretrained/…` weights, offers.

    Raises:
        ValueError: there is no such file.
    """
    return (pretrained(name) if name.startswith(PRETRAINED) else load(name)).archives
