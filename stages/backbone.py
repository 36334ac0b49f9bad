r"""Make the backbone that the first FCN starts from.

Run:
    python -m stages.backbone digits-vgg16 --raw data/raw/digits \
        --valid data/reports/digits/valid.json --records data/records/digits \
        --out data/models/digits-vgg16.keras --metrics data/metrics/digits/digits-vgg16.json

`weights: classifier` trains one on single objects of the training pool and makes its dense layers
convolutions; `file` takes those of a file in the raw folder; `scratch` keeps random ones.
"""

from pathlib import Path
from typing import Annotated

from typer import Option

from fcn.cli import arguments, command_line
from fcn.common import files, messages
from fcn.datasets.shared import catalogue
from fcn.datasets.shared.dataset import Crop
from fcn.labels import verdict
from fcn.network import backend
from fcn.records import record
from fcn.runtime import devices
from fcn.settings import reader
from fcn.settings.backbone import Backbone
from fcn.training import checkpoints


def backbone(
    key: arguments.Key,
    raw: arguments.Raw,
    records: arguments.Records,
    valid: arguments.Valid,
    out: Annotated[Path, Option(help="Model file (.keras) to write.")],
    metrics: Annotated[
        Path, Option(help="JSON file to write: the classifier's accuracy on each split.")
    ],
    no_tracking: arguments.NoTracking = False,
) -> None:
    """Train, convert and save; the metrics are the classifier's accuracies by split."""
    loaded = reader.load(key)
    wanted = reader.entry(loaded.table.backbones, key, "backbones")
    fingerprint = verdict.require_valid(valid, records)
    devices.reserve(key)
    backend.use(loaded.common)
    from fcn.network import build, model_file
    from fcn.pretrained import load
    from fcn.tracking import runs
    from fcn.training import classifier

    channels = record.read_labels(records).channels
    network = build.backbone(wanted.module, wanted.network, channels)
    accuracies: dict[str, float] = {}
    shown = wanted.model_dump() | loaded.common.model_dump()
    crops = _objects(wanted, raw, loaded.common.seed) if wanted.classifier else {}
    determined = checkpoints.digest(
        loaded.common,
        settings=wanted.model_dump(mode="json"),
        channels=channels,
        crops=classifier.fingerprint(crops),
    )
    place = checkpoints.Place(key, determined, loaded.common.checkpoints)
    with runs.open_run("train", key, wanted.table, shown, no_tracking, place.run) as run:
        place.run = run.id
        run.log_dataset(wanted.dataset, records, fingerprint, "train")
        if wanted.classifier is not None:
            objects = len(catalogue.load(wanted.source).classes) - 1
            dense = classifier.build(wanted, wanted.classifier, channels, objects)
            seed = loaded.common.seed
            classifier.train(dense, wanted.classifier, crops, seed, run.log_metrics, place)
            classifier.decapitate(dense, network)
            accuracies = {
                split: classifier.accuracy(dense, crops[split], wanted.classifier.side)
                for split in crops
            }
            run.log_metrics({f"accuracy_{split}": value for split, value in accuracies.items()})
        measured: dict[str, object] = {"weights": wanted.weights, "accuracy": accuracies}
        if wanted.file is not None:
            layers = load.load_weights(network, wanted, wanted.file, raw, out)
            measured["layers"] = layers
            for fate, names in layers.items():
                messages.say(f"{key}: {fate}: {', '.join(names) or 'none'}")
        model_file.save(network, out)
        files.write_json(metrics, measured)
    place.clear()
    for split, value in accuracies.items():
        messages.say(f"{key}: the classifier names {value:.4f} of the {split} objects right")


def _objects(wanted: Backbone, raw: Path, seed: int) -> dict[str, list[Crop]]:
    """Return the single objects of each split."""
    source = catalogue.load(wanted.source)
    if source.crops is None:
        raise ValueError(f"{source.name} knows no single objects; use `weights: scratch`")
    if missing := {"train", "val", "test"} - set(source.splits):
        raise ValueError(f"{source.name} has no split {missing}; use `weights: scratch`")
    return {split: list(source.crops(raw, split, seed)) for split in source.splits}


if __name__ == "__main__":
    command_line.run(backbone)
