"""Train one network, starting from the model before it (FCN-32s -> 16s -> 8s).

Run:
    python -m stages.train digits-fcn16s --records data/records/digits \
        --valid data/reports/digits/valid.json --start data/models/digits-fcn32s.keras \
        --out data/models/digits-fcn16s.keras --curve data/plots/digits/digits-fcn16s/loss.csv
"""

from pathlib import Path

import pandas as pd

from fcn import backend, door, files, labels, metrics, settings
from fcn.records import Records


def train(key: str, records: Path, valid: Path, start: Path, out: Path, curve: Path) -> None:
    """Build the network, take over the weights of `start`, train, save model and loss curve."""
    loaded = settings.load(key)
    wanted = settings.entry(loaded.table.models, key, "models")
    fingerprint = labels.require_valid(valid, records)
    backend.use(loaded.common)
    from fcn import evaluation, inputs, losses, models, tracking, training, weights

    split, val = Records(records, "train"), list(Records(records, "val"))
    classes, channels = len(split.labels.classes), split.labels.channels
    shape = loaded.table.network(key)
    model = models.network(wanted.head, wanted.backbone, shape, channels, classes)
    new = weights.transplant(models.load(start), model)
    door.say(f"{key}: starts from {start}; new layers: {', '.join(new) or 'none'}")
    source = inputs.InMemory([{"image": e.image, "label": e.label} for e in split])
    shown = wanted.model_dump() | {
        "network": shape.model_dump(),
        **loaded.common.model_dump(),
    }
    with tracking.run("train", key, wanted.table, shown) as run:
        run.data(wanted.dataset, records, fingerprint, "train")
        epochs = training.fit(
            model,
            losses.pixel_cross_entropy,
            inputs.batches(source, wanted.training, loaded.common.seed),
            wanted.training,
            lambda network: {
                "val_mean_iou": metrics.mean_iou(
                    evaluation.count(network, val, wanted.training.batch, classes).sum(axis=0)
                )
            },
            lambda epoch: run.metrics(epoch.values(), epoch.step),
        )
        models.save(model, out)
        with files.writing(curve) as aside:
            pd.DataFrame([epoch.row() for epoch in epochs]).to_csv(aside, index=False)
        run.model(out, channels, loaded.common.backend)


if __name__ == "__main__":
    door.main(__doc__, train, key=str, records=Path, valid=Path, start=Path, out=Path, curve=Path)
