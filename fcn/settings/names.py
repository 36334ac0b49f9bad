"""Whether the files and the classes that a table file names exist.

Data sets, weights, backbones and heads are files of `fcn/` that are found by their names; no list
has them.
"""

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fcn.common.text import nearest
from fcn.settings.backbone import PRETRAINED
from fcn.settings.table import TableFile

PACKAGE = Path(__file__).parents[1]


@cache
def modules(folder: str) -> tuple[str, ...]:
    """Return the names of the files in a folder of `fcn/`; those of data sets include weights."""
    root = PACKAGE / folder
    paths = [*root.glob("[!_]*.py"), *(root / PRETRAINED).glob("[!_]*.py")]
    return tuple(sorted(path.relative_to(root).with_suffix("").as_posix() for path in paths))


def problems(file: TableFile) -> Iterator[str]:
    """Yield each name of a file or a class that does not exist, as a line."""
    named = [
        *((f"downloads.{key}.module", "datasets", d.module) for key, d in file.downloads.items()),
        *((f"datasets.{key}.module", "datasets", d.module) for key, d in file.datasets.items()),
        *((f"backbones.{key}.source", "datasets", b.source) for key, b in file.backbones.items()),
        *((f"backbones.{key}.module", "backbones", b.module) for key, b in file.backbones.items()),
        *((f"models.{key}.backbone", "backbones", m.backbone) for key, m in file.models.items()),
        *((f"models.{key}.head", "heads", m.head) for key, m in file.models.items()),
        *((f"tables.{key}.source", "datasets", t.source) for key, t in file.tables.items()),
    ]
    for where, folder, name in named:
        if name not in modules(folder):
            hint = nearest(name, modules(folder))
            yield f"{where}: got {name!r}, which is no file of fcn/{folder}/; {hint}"
    yield from _unknown_classes(file)


def _unknown_classes(file: TableFile) -> Iterator[str]:
    """Yield the names of classes and label conventions that a data set does not have."""
    for key, data in file.datasets.items():
        weights = {
            f"models.{name}.training.class_weights": model.training.class_weights
            for name, model in file.models.items()
            if model.dataset == key and isinstance(model.training.class_weights, (dict, tuple))
        }
        uses_names = weights or data.convert.classes or data.convert.labels
        if not uses_names or data.module not in modules("datasets"):
            continue
        # By its name, and only where a setting names a class: the room of data sets is above this
        # one, and imports what reads pictures.
        catalogue: Any = importlib.import_module("fcn.datasets.shared.catalogue")
        try:
            classes = catalogue.load(data.module, data.convert).classes
        except ValueError as error:
            yield f"datasets.{key}.convert: {error}"
            continue
        for where, setting in weights.items():
            yield from _misfit(where, setting, classes)


def _misfit(where: str, setting: Any, classes: tuple[str, ...]) -> Iterator[str]:
    if isinstance(setting, Mapping):
        for name in setting:
            if name not in classes:
                yield f"{where}: no class {name!r}; {nearest(name, classes)}"
    elif len(setting) != len(classes):
        yield (
            f"{where}: got {len(setting)} weights, allowed: one for each of the {len(classes)} "
            f"classes ({', '.join(classes)})"
        )
