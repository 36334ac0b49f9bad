"""Make the backbone that the first FCN starts from.

Run:
    python -m stages.backbone digits-vgg16 --raw data/raw/digits \
        --valid data/reports/digits/valid.json --records data/records/digits \
        --out data/models/digits-vgg16.keras --metrics data/metrics/digits/digits-vgg16.json

`weights: classifier` trains one on single objects of the training pool and makes its dense layers
convolutions; `scratch` keeps random weights.
"""

from pathlib import Path

from fcn import backend, dataset, door, files, labels, settings
from fcn import records as record


def backbone(key: str, raw: Path, records: Path, valid: Path, out: Path, metrics: Path) -> None:
    """Train, convert and save; the metrics are the classifier's accuracies by split."""
    loaded = settings.load(key)
    wanted = settings.entry(loaded.table.backbones, key, "backbones")
    fingerprint = labels.require_valid(valid, records)
    backend.use(loaded.common)
    from fcn import classifier, models, tracking

    channels = record.read_labels(records).channels
    network = models.backbone(wanted.module, wanted.network, channels)
    accuracies: dict[str, float] = {}
    shown = wanted.model_dump() | loaded.common.model_dump()
    with tracking.run("train", key, wanted.table, shown) as run:
        run.data(wanted.dataset, records, fingerprint, "train")
        if wanted.classifier is not None:
            source = dataset.load(wanted.source)
            if source.crops is None:
                raise ValueError(f"{source.name} knows no single objects; use `weights: scratch`")
            if missing := {"train", "val", "test"} - set(source.splits):
                raise ValueError(f"{source.name} has no split {missing}; use `weights: scratch`")
            crops = {
                split: list(source.crops(raw, split, loaded.common.seed)) for split in source.splits
            }
            dense = classifier.build(wanted, wanted.classifier, channels, len(source.classes) - 1)
            classifier.train(
                dense,
                wanted.classifier,
                crops,
                loaded.common.seed,
                lambda epoch: run.metrics(epoch.values(), epoch.step),
            )
            classifier.decapitate(dense, network)
            accuracies = {
                split: classifier.accuracy(dense, crops[split], wanted.classifier.side)
                for split in crops
            }
            run.metrics({f"accuracy_{split}": value for split, value in accuracies.items()})
        models.save(network, out)
        files.write_json(metrics, {"weights": wanted.weights, "accuracy": accuracies})
    for split, value in accuracies.items():
        door.say(f"{key}: the classifier names {value:.4f} of the {split} objects right")


if __name__ == "__main__":
    door.main(
        __doc__, backbone, key=str, raw=Path, records=Path, valid=Path, out=Path, metrics=Path
    )
