"""Train one network: records, network, initial weights, training loop, model file, loss curve."""

import csv
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import keras

from fcn.code import imports
from fcn.common import files, messages
from fcn.inference import forward
from fcn.network import build, model_file
from fcn.records.labels import Labels
from fcn.records.split import Records
from fcn.scores import metrics
from fcn.settings import stages
from fcn.settings.keys import table_of
from fcn.settings.stages import TrainSettings
from fcn.tracking import runs
from fcn.training import checkpoints, class_weights, inputs, loop, losses, optimizers, transfer

ENTRY = imports.ROOT / "stages/train.py"
VALIDATION_PICTURES = 2
"""Logged to MLflow at the first, middle and last epoch."""


@dataclass(frozen=True)
class TrainingPaths:
    """Inputs and outputs of one training."""

    records: Path
    fingerprint: str
    """SHA-256 of the records, whose labels are valid."""
    init_from: Path
    """Model file with the initial weights."""
    out: Path
    """Model file to write."""
    curve: Path
    """CSV file to write: one row per epoch."""


def run(key: str, settings: TrainSettings, paths: TrainingPaths, tracked: bool) -> None:
    """Train the network of `key` and write its model file and loss curve.

    Args:
        key: the key in `models`.
        settings: its settings.
        paths: inputs and outputs.
        tracked: log to MLflow.

    Raises:
        ValueError: the records do not fit the settings, the loss or a gradient is not finite, or
            memory is exhausted.
    """
    recipe, seed = settings.model.training, settings.compute.seed
    train, val = Records(paths.records, "train"), Records(paths.records, "val")
    labels = train.labels
    loss = losses.build(
        recipe, class_weights.compute(recipe.class_weights, labels.classes, train.rows)
    )
    inputs.require_equal_sizes(train, recipe)
    batches = inputs.batches(inputs.RecordSource(inputs.cache(train)), recipe, seed)
    sample_numbers = inputs.sample_numbers(len(train), recipe, seed)
    validation = inputs.cache(val)
    model = build_model(key, settings, labels, paths.init_from)
    store = checkpoints.CheckpointStore(key, _digest(settings, paths), settings.checkpoints)

    def evaluate(network: keras.Model, epoch: int) -> dict[str, float]:
        if epoch in {1, (recipe.epochs + 1) // 2, recipe.epochs}:
            for sample, mask in forward.predict(
                network, islice(val, VALIDATION_PICTURES), recipe.batch
            ):
                log.log_validation_picture(sample, mask, labels, epoch)
        matrices = forward.confusion_matrices(
            network, validation, recipe.batch, len(labels.classes)
        )
        return {"val_mean_iou": metrics.mean_iou(matrices.sum(axis=0))}

    with runs.open_run(
        "train", key, table_of(key), stages.logged(key), not tracked, store.run_id
    ) as log:
        store.run_id = log.id
        log.log_dataset(paths.records.name, paths.records, paths.fingerprint, "train")
        callbacks = loop.Callbacks(
            evaluate,
            log.log_metrics,
            lambda step: [train.rows[number].id for number in sample_numbers[step - 1]],
        )
        epochs = loop.fit(model, loss, batches, recipe, callbacks, store)
        model_file.save(model, paths.out, asdict(labels))
        write_curve(epochs, paths.curve)
        log.log_model(paths.out, labels.channels, settings.compute.backend)
    store.clear()


def build_model(key: str, settings: TrainSettings, labels: Labels, init_from: Path) -> keras.Model:
    """Return the network of the settings with the weights of the file `init_from`."""
    model = build.network(
        settings.model.head,
        settings.model.backbone,
        settings.network,
        labels.channels,
        len(labels.classes),
        settings.model.upsampling,
    )
    build.freeze(model, settings.model.freeze)
    if (rate := settings.model.training.backbone_rate) != 1:
        # Built once more for its names: of which part a layer is, a network does not say.
        backbone = build.backbone(settings.model.backbone, settings.network, labels.channels)
        optimizers.set_rate(model, [layer.name for layer in backbone.layers], rate)
    new = transfer.transplant(model_file.load(init_from), model)
    messages.say(f"{key}: initialised from {init_from}; new layers: {', '.join(new) or 'none'}")
    return model


def write_curve(epochs: list[loop.Epoch], path: Path) -> None:
    """Write one row per epoch as CSV."""
    rows = [epoch.row() for epoch in epochs]
    with files.writing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _digest(settings: TrainSettings, paths: TrainingPaths) -> str:
    """Return the digest of all that determines the trained weights."""
    return checkpoints.digest(
        settings.compute,
        ENTRY,
        [f"heads/{settings.model.head}", f"backbones/{settings.model.backbone}"],
        settings=settings.model.model_dump(mode="json"),
        network=settings.network.model_dump(),
        records=paths.fingerprint,
        init_from=files.sha256(paths.init_from),
    )
