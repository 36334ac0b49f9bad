r"""Train one network, starting from the model before it (FCN-32s -> 16s -> 8s).

Run:
    python -m stages.train digits-fcn16s --records data/records/digits \
        --valid data/reports/digits/valid.json --init-from data/models/digits-fcn32s.keras \
        --out data/models/digits-fcn16s.keras --curve data/plots/digits/digits-fcn16s/loss.csv
"""

from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from typer import Option

from fcn.cli import arguments, command_line
from fcn.common import files, messages
from fcn.network import backend
from fcn.records import verdict
from fcn.records.split import Records
from fcn.runtime import devices
from fcn.scores import metrics
from fcn.settings import reader
from fcn.training import checkpoints, class_weights

SHOWN = 2
"""Validation pictures kept in MLflow at the first, middle and last epoch."""


def train(
    key: arguments.Key,
    records: arguments.Records,
    valid: arguments.Valid,
    init_from: Annotated[Path, Option(help="Model file (.keras) with the weights to start from.")],
    out: Annotated[Path, Option(help="Model file (.keras) to write.")],
    curve: Annotated[Path, Option(help="CSV file to write: the losses and scores of each epoch.")],
    no_tracking: arguments.NoTracking = False,
) -> None:
    """Build the network, take over the weights of `init_from`, train, save model and loss curve."""
    loaded = reader.load(key)
    wanted = reader.entry(loaded.table.models, key, "models")
    compute = loaded.common.compute(wanted.seed)
    fingerprint = verdict.require_valid(valid, records)
    split, val = Records(records, "train"), Records(records, "val")
    names = split.labels
    weighting = class_weights.compute(wanted.training.class_weights, names.classes, split.rows)
    devices.reserve(key)
    backend.use(compute)
    from fcn.inference import forward
    from fcn.network import build, model_file, transfer
    from fcn.pictures import overlay
    from fcn.tracking import runs
    from fcn.training import inputs, loop, losses

    shape, seed = loaded.table.network(key), compute.seed
    inputs.require_equal_sizes(split, wanted.training)
    batches = inputs.batches(inputs.RecordSource(inputs.cache(split)), wanted.training, seed)
    measured = inputs.cache(val)
    numbers = inputs.sample_numbers(len(split), wanted.training, seed)
    model = build.network(
        wanted.head,
        wanted.backbone,
        shape,
        names.channels,
        len(names.classes),
        wanted.upsampling,
    )
    build.freeze(model, wanted.freeze)
    new = transfer.transplant(model_file.load(init_from), model)
    messages.say(f"{key}: starts from {init_from}; new layers: {', '.join(new) or 'none'}")
    shown = wanted.model_dump() | {"network": shape.model_dump(), **compute.model_dump()}
    determined = checkpoints.digest(
        compute,
        Path(__file__),
        [f"heads/{wanted.head}", f"backbones/{wanted.backbone}"],
        settings=wanted.model_dump(mode="json"),
        network=shape.model_dump(),
        records=fingerprint,
        init_from=files.sha256(init_from),
    )
    store = checkpoints.CheckpointStore(key, determined, loaded.common.checkpoints)
    epochs = wanted.training.epochs

    def measure(network: Any, epoch: int) -> dict[str, float]:
        """Score the validation split; show a few of its masks at the begin, middle and end."""
        if epoch in {1, (epochs + 1) // 2, epochs}:
            few = islice(val, SHOWN)
            for example, mask in forward.predict(network, few, wanted.training.batch):
                picture = overlay.draw_comparison(example, mask, names)
                run.picture(f"epoch-{epoch:04d}-{overlay.file_name(example.id)}", picture)
        counts = forward.confusion_matrices(
            network, measured, wanted.training.batch, len(names.classes)
        )
        return {"val_mean_iou": metrics.mean_iou(counts.sum(axis=0))}

    with runs.run("train", key, wanted.table, shown, no_tracking, store.run_id) as run:
        store.run_id = run.id
        run.data(wanted.dataset, records, fingerprint, "train")
        done = loop.fit(
            model,
            losses.build(wanted.training, weighting),
            batches,
            wanted.training,
            loop.Callbacks(
                measure,
                run.metrics,
                lambda step: [split.rows[number].id for number in numbers[step - 1]],
            ),
            store,
        )
        model_file.save(model, out, asdict(names))
        with files.writing(curve) as aside:
            pd.DataFrame([epoch.row() for epoch in done]).to_csv(aside, index=False)
        run.model(out, names.channels, compute.backend)
    store.clear()


if __name__ == "__main__":
    command_line.run(train)
