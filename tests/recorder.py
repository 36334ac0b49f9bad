"""Records which settings are read, by whom, and under which name dvc.yaml would declare them."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from fcn.code.imports import RESULT_FREE
from fcn.settings import reader, stages
from fcn.settings.common import Compute
from fcn.settings.values import Settings

PARAMS = "params.yaml"


class Recorder:
    """Notes each setting that is read outside result-free rooms, once it is installed."""

    def __init__(self) -> None:
        self.read: set[tuple[str, str]] = set()
        """File and dotted key."""
        self._paths: dict[int, tuple[str, str]] = {}
        self._kept: list[Settings] = []  # an id is unique while its object lives

    def install(self) -> None:
        """Patch settings and their reader, for the rest of this process."""
        load, get = reader.load, Settings.__getattribute__

        def loading(*arguments: Any, **options: Any) -> reader.Loaded:
            loaded = load(*arguments, **options)
            name = next(iter(loaded.table.tables))
            self._locate(loaded.common, PARAMS, "")
            self._locate(loaded.table, f"tables/{name}.yaml", "")
            return loaded

        def reading(settings: Settings, name: str) -> Any:
            value = get(settings, name)
            caller = sys._getframe(1).f_globals.get("__name__", "")
            if name in type(settings).model_fields and _counts(caller):
                self._note(settings, name, value)
            elif name == "model_dump" and _counts(caller):
                for field in type(settings).model_fields:
                    self._note(settings, field, get(settings, field))
            return value

        reader.load = loading
        stages.load = loading  # type: ignore[attr-defined]
        Settings.__getattribute__ = reading  # type: ignore[method-assign]

    def _locate(self, settings: Settings, file: str, path: str) -> None:
        self._kept.append(settings)
        self._paths[id(settings)] = file, path
        for name, value in settings.__dict__.items():
            key = type(settings).model_fields[name].alias or name
            inner = f"{path}.{key}".strip(".")
            for below, one in directly_inside(inner, value):
                self._locate(one, file, below)

    def _note(self, settings: Settings, name: str, value: Any) -> None:
        if isinstance(settings, Compute):
            file, path = PARAMS, ""
        elif id(settings) in self._paths:
            file, path = self._paths[id(settings)]
        else:
            return
        key = type(settings).model_fields[name].alias or name
        if not list(directly_inside(key, value)):  # a leaf; what is below is noted when it is read
            self.read.add((file, f"{path}.{key}".strip(".")))


def directly_inside(path: str, value: Any) -> Iterator[tuple[str, Settings]]:
    """Yield the settings directly inside a field's value, with their paths."""
    if isinstance(value, Settings):
        yield path, value
    elif isinstance(value, Mapping):
        yield from ((f"{path}.{k}", v) for k, v in value.items() if isinstance(v, Settings))


def _counts(module: str) -> bool:
    """Whether what a module reads can change a result."""
    room = module.split(".")[1] if module.startswith("fcn.") else ""
    return module.startswith(("fcn.", "stages.", "__main__")) and room not in RESULT_FREE
