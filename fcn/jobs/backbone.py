"""Make the backbone that the first FCN is initialised from."""

from dataclasses import dataclass
from pathlib import Path

import keras

from fcn.code import imports
from fcn.common import files, messages
from fcn.datasets.shared import catalogue
from fcn.network import build, model_file
from fcn.pretrained import classifier, load
from fcn.records.labels import read_labels
from fcn.records.sample import ObjectCrop
from fcn.settings import stages
from fcn.settings.backbone import Backbone, Classifier
from fcn.settings.keys import table_of
from fcn.settings.stages import BackboneSettings
from fcn.tracking import runs
from fcn.tracking.runs import Run
from fcn.training import checkpoints

ENTRY = imports.ROOT / "stages/backbone.py"


@dataclass(frozen=True)
class BackbonePaths:
    """Inputs and outputs of one backbone."""

    raw: Path
    records: Path
    fingerprint: str
    """SHA-256 of the records, whose labels are valid."""
    out: Path
    """Model file to write."""
    metrics: Path
    """JSON file to write."""


def run(key: str, settings: BackboneSettings, paths: BackbonePaths, tracked: bool) -> None:
    """Build the backbone, give it its weights, and write its model file and metrics.

    Args:
        key: the key in `backbones`.
        settings: its settings.
        paths: inputs and outputs.
        tracked: log to MLflow.

    Raises:
        ValueError: the data set has no single objects, or the weights do not fit.
    """
    backbone = settings.backbone
    channels = read_labels(paths.records).channels
    network = build.backbone(backbone.module, backbone.network, channels)
    crops = read_crops(backbone, paths.raw, settings.compute.seed) if backbone.classifier else {}
    digest = checkpoints.digest(
        settings.compute,
        ENTRY,
        [f"backbones/{backbone.module}", f"datasets/{backbone.source}"],
        settings=backbone.model_dump(mode="json"),
        channels=channels,
        crops=classifier.fingerprint(crops),
    )
    store = checkpoints.CheckpointStore(key, digest, settings.checkpoints)
    accuracies: dict[str, float] = {}
    with runs.open_run(
        "train", key, table_of(key), stages.logged(key), not tracked, store.run_id
    ) as log:
        store.run_id = log.id
        log.log_dataset(paths.records.name, paths.records, paths.fingerprint, "train")
        if backbone.classifier is not None:
            dense = train_classifier(settings, backbone.classifier, crops, channels, (log, store))
            classifier.decapitate(dense, network)
            accuracies = {
                split: classifier.accuracy(dense, crops[split], backbone.classifier.side)
                for split in crops
            }
            log.log_metrics({f"accuracy_{split}": value for split, value in accuracies.items()})
        metrics: dict[str, object] = {"weights": backbone.weights, "accuracy": accuracies}
        if backbone.file is not None:
            layers = load.load_weights(network, backbone, backbone.file, paths.raw, paths.out)
            metrics["layers"] = layers
            for origin, names in layers.items():
                messages.say(f"{key}: {origin}: {', '.join(names) or 'none'}")
        model_file.save(network, paths.out)
        files.write_json(paths.metrics, metrics)
    store.clear()
    for split, value in accuracies.items():
        messages.say(f"{key}: the classifier's accuracy on {split} is {value:.4f}")


def train_classifier(
    settings: BackboneSettings,
    recipe: Classifier,
    crops: dict[str, list[ObjectCrop]],
    channels: int,
    log_and_store: tuple[Run, checkpoints.CheckpointStore],
) -> keras.Model:
    """Return a classifier trained on the crops of split `train`."""
    log, store = log_and_store
    classes = len(catalogue.load(settings.backbone.source).classes) - 1  # without background
    dense = classifier.build(settings.backbone, recipe, channels, classes)
    classifier.train(dense, recipe, crops, settings.compute.seed, log.log_metrics, store)
    return dense


def read_crops(backbone: Backbone, raw: Path, seed: int) -> dict[str, list[ObjectCrop]]:
    """Return the crops of single objects by split.

    Raises:
        ValueError: the data set has none, or lacks a split.
    """
    source = catalogue.load(backbone.source)
    if source.object_crops is None:
        raise ValueError(f"{source.name} has no crops of single objects; use `weights: scratch`")
    if missing := {"train", "val", "test"} - set(source.splits):
        raise ValueError(f"{source.name} has no split {missing}; use `weights: scratch`")
    return {split: list(source.object_crops(raw, split, seed)) for split in source.splits}
