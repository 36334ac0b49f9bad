"""The settings that each stage may read.

Each function returns the settings of one stage. dvc.yaml declares them under that stage's `params`,
and a test compares the two for every shipped table. Settings that change no result (`Common`
names them) come along without being declared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from fcn.settings.backbone import Backbone
from fcn.settings.common import Checkpoints, Compute, Intervals
from fcn.settings.data import Ceiling, Convert, Data, Validate
from fcn.settings.keys import table_of
from fcn.settings.network import Network
from fcn.settings.published import Published
from fcn.settings.reader import entry, load
from fcn.settings.table import Evaluation, Model, Table


@dataclass(frozen=True)
class DownloadSettings:
    """Settings of `stages.download`."""

    module: str
    mirror: str | None

    @classmethod
    def of(cls, key: str) -> Self:
        """Read the settings of one key in `downloads`."""
        loaded = load(key)
        return cls(entry(loaded.table.downloads, key, "downloads").module, loaded.common.mirror)


@dataclass(frozen=True)
class ConvertSettings:
    """Settings of `stages.convert`."""

    module: str
    convert: Convert
    seed: int
    workers: int

    @classmethod
    def of(cls, key: str) -> Self:
        """Read the settings of one key in `datasets`."""
        loaded = load(key)
        dataset = entry(loaded.table.datasets, key, "datasets")
        return cls(dataset.module, dataset.convert, loaded.common.seed, loaded.common.workers)


@dataclass(frozen=True)
class ValidateSettings:
    """Settings of `stages.validate`."""

    splits: Mapping[str, int]
    """Promised samples per split."""
    validate: Validate
    workers: int

    @classmethod
    def of(cls, key: str) -> Self:
        """Read the settings of one key in `datasets`."""
        loaded = load(key)
        dataset = entry(loaded.table.datasets, key, "datasets")
        return cls(dataset.convert.splits, dataset.validate_, loaded.common.workers)


@dataclass(frozen=True)
class CeilingSettings:
    """Settings of `stages.ceiling`."""

    ceiling: Ceiling
    workers: int

    @classmethod
    def of(cls, key: str) -> Self:
        """Read the settings of one key in `datasets`."""
        loaded = load(key)
        return cls(entry(loaded.table.datasets, key, "datasets").ceiling, loaded.common.workers)


@dataclass(frozen=True)
class BackboneSettings:
    """Settings of `stages.backbone`."""

    backbone: Backbone
    compute: Compute
    checkpoints: Checkpoints

    @classmethod
    def of(cls, key: str) -> Self:
        """Read the settings of one key in `backbones`."""
        loaded = load(key)
        backbone = entry(loaded.table.backbones, key, "backbones")
        return cls(backbone, loaded.common.compute(), loaded.common.checkpoints)


@dataclass(frozen=True)
class TrainSettings:
    """Settings of `stages.train`."""

    model: Model
    network: Network
    compute: Compute
    """With the model's own seed, if it has one."""
    checkpoints: Checkpoints

    @classmethod
    def of(cls, key: str) -> Self:
        """Read the settings of one key in `models`."""
        loaded = load(key)
        model = entry(loaded.table.models, key, "models")
        return cls(
            model,
            loaded.table.network(key),
            loaded.common.compute(model.seed),
            loaded.common.checkpoints,
        )


@dataclass(frozen=True)
class EvaluateSettings:
    """Settings of `stages.evaluate`."""

    head: str
    network: Network
    evaluation: Evaluation
    compute: Compute

    @classmethod
    def of(cls, key: str) -> Self:
        """Read the settings of one key in `models`."""
        loaded = load(key)
        head = entry(loaded.table.models, key, "models").head
        evaluation = loaded.table.tables[table_of(key)].evaluation
        return cls(head, loaded.table.network(key), evaluation, loaded.common.compute())


@dataclass(frozen=True)
class TableSettings:
    """Settings of `stages.table`."""

    table: Table
    dataset: Data
    backbones: Mapping[str, Backbone]
    models: Mapping[str, Model]
    published: Mapping[str, Published]
    seed: int
    intervals: Intervals

    @classmethod
    def of(cls, key: str) -> Self:
        """Read the settings of one key in `tables`."""
        loaded = load(key)
        table = entry(loaded.table.tables, key, "tables")
        return cls(
            table,
            loaded.table.datasets[table.dataset],
            loaded.table.backbones,
            loaded.table.models,
            loaded.table.published,
            loaded.common.seed,
            loaded.common.intervals,
        )


@dataclass(frozen=True)
class CompareSettings:
    """Settings of `stages.compare`, which is no stage of the graph."""

    batch: int
    compute: Compute
    intervals: Intervals

    @classmethod
    def of(cls, key: str) -> Self:
        """Read the settings of one key in `tables`."""
        loaded = load(key)
        batch = entry(loaded.table.tables, key, "tables").evaluation.batch
        return cls(batch, loaded.common.compute(), loaded.common.intervals)


def logged(key: str) -> dict[str, Any]:
    """Return all settings behind a key of `backbones` or `models`, for MLflow's parameters only."""
    loaded = load(key)
    if key in loaded.table.backbones:
        settings: dict[str, Any] = loaded.table.backbones[key].model_dump()
    else:
        settings = entry(loaded.table.models, key, "models").model_dump()
        settings |= {
            "network": loaded.table.network(key).model_dump(),
            "evaluation": loaded.table.tables[table_of(key)].evaluation.model_dump(),
        }
    return settings | loaded.common.model_dump()
