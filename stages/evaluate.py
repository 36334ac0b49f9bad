r"""Measure one trained network on the table's split.

Run:
    python -m stages.evaluate digits-fcn16s --records data/records/digits \
        --valid data/reports/digits/valid.json --model data/models/digits-fcn16s.keras \
        --metrics data/metrics/digits/digits-fcn16s.json \
        --plots data/plots/digits/digits-fcn16s --details data/evaluations/digits-fcn16s
"""

import resource
import time
import zlib
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from typer import Option

from fcn.cli import arguments, command_line
from fcn.common import files, messages
from fcn.network import backend
from fcn.pictures import overlay
from fcn.records import verdict
from fcn.records.labels import Labels
from fcn.records.split import Records
from fcn.scores import averaging, counting, extremes, per_image
from fcn.scores import metrics as measured
from fcn.scores.summary import summarise
from fcn.settings import reader

IOU, CONFUSION = "class_iou.csv", "confusion.csv"


def evaluate(
    key: arguments.Key,
    records: arguments.Records,
    valid: arguments.Valid,
    model: Annotated[Path, Option(help="Model file (.keras) to measure.")],
    metrics: Annotated[Path, Option(help="JSON file to write: the scores on the whole split.")],
    plots: Annotated[
        Path, Option(help="Folder to write: CSV files with class IoU and confusion matrix.")
    ],
    details: Annotated[
        Path, Option(help="Folder to write: per-image counts (Parquet), best and worst pictures.")
    ],
    no_tracking: arguments.NoTracking = False,
) -> None:
    """Write the scores, two plots, what was counted of each image, and pictures of extremes."""
    loaded = reader.load(key)
    wanted = reader.entry(loaded.table.models, key, "models")
    told = loaded.table.tables[wanted.table].evaluation
    fingerprint = verdict.require_valid(valid, records)
    split = Records(records, told.split)
    names = split.labels
    backend.use(loaded.common)
    from fcn.inference import forward, tta
    from fcn.network import build, model_file
    from fcn.tracking import runs

    network = model_file.load(model)
    classes, known = len(names.classes), network.outputs[0].shape[-1]
    if known != classes:
        raise ValueError(
            f"{model} tells {known} classes apart, but {records} has {classes}; "
            "`dvc repro` trains it for these records"
        )
    shown = wanted.model_dump() | {
        "evaluation": told.model_dump(),
        **loaded.common.model_dump(),
    }
    with (
        runs.run("evaluate", key, wanted.table, shown, no_tracking) as run,
        files.writing_folder(details) as aside,
    ):
        run.data(wanted.dataset, records, fingerprint, told.split)
        counted, masks = [], []
        seen = tta.with_augmentation(network, told.scales, told.flip)
        predictions = forward.predict_with_confidence(
            seen, split, told.batch, averaging.THRESHOLD, told.window
        )
        began = time.perf_counter()
        for example, said in predictions:
            counted.append(
                counting.count_image(
                    example.label, said.mask, said.confidence, said.thresholded, classes
                )
            )
            # Which ones to show is known at the end; a mask packs to a few kilobytes till then.
            masks.append(zlib.compress(said.mask.tobytes(), level=1))
        # Of this machine: told to MLflow only, since a file would differ from run to run.
        run.metrics(
            {
                "milliseconds_per_image": 1e3 * (time.perf_counter() - began) / len(split),
                "peak_memory_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            }
        )
        images = per_image.stack(split.rows, counted)
        per_image.write(aside / per_image.FILE, images)
        for rank, members in extremes.select(images, told.pictures).items():
            for place, number in enumerate(members, start=1):
                example = split[number]
                mask = np.frombuffer(zlib.decompress(masks[number]), np.uint8)
                picture = overlay.draw_comparison(example, mask.reshape(example.label.shape), names)
                picture.save(aside / f"{overlay.file_name(example.id)}.png")
                # By rank: so the runs of a table line up where MLflow compares them.
                run.picture(f"{rank}-{place}", picture)
        numbers = summarise(images, names.classes)
        run.metrics({name: value for name, value in numbers.items() if isinstance(value, float)})
        run.metrics({f"iou_{name}": value for name, value in numbers["class_iou"].items()})
        write_plots(plots, images.total, names)
        for name in (IOU, CONFUSION):
            run.table(plots / name)
    stride = build.stride(wanted.head, loaded.table.network(key))
    content = {"split": told.split, "images": len(split), "stride": stride}
    content |= {"parameters": network.count_params(), "model_bytes": model.stat().st_size}
    files.write_json(metrics, content | numbers)
    messages.say(f"{key}: " + ", ".join(f"{name} {numbers[name]:.4f}" for name in measured.SCORES))


def write_plots(folder: Path, total: np.ndarray, names: Labels) -> None:
    """Write what each class reached, and the confusion matrix as shares of each true class."""
    by_class = {
        "class": names.classes,
        "iou": measured.class_iou(total),
        "accuracy": measured.class_accuracy(total),
        "dice": measured.class_dice(total),
    }
    shares = total / np.maximum(total.sum(axis=1, keepdims=True), 1)
    confusion = [
        {"truth": names.classes[i], "prediction": names.classes[j], "share": round(shares[i, j], 6)}
        for i, j in np.ndindex(*total.shape)
    ]
    for name, rows in ((IOU, by_class), (CONFUSION, confusion)):
        with files.writing(folder / name) as aside:
            pd.DataFrame(rows).to_csv(aside, index=False)


if __name__ == "__main__":
    command_line.run(evaluate)
