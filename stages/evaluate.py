"""Measure one trained network on the table's split.

Run:
    python -m stages.evaluate digits-fcn16s --records data/records/digits \
        --valid data/reports/digits/valid.json --model data/models/digits-fcn16s.keras \
        --metrics data/metrics/digits/digits-fcn16s.json \
        --plots data/plots/digits/digits-fcn16s --details data/evaluations/digits-fcn16s
"""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

import fcn.heads
from fcn import backend, door, files, intervals, labels, pictures, settings
from fcn import metrics as measured
from fcn.records import Decoded, Labels, Records

IOU, CONFUSION = "class_iou.csv", "confusion.csv"


def evaluate(
    key: str, records: Path, valid: Path, model: Path, metrics: Path, plots: Path, details: Path
) -> None:
    """Write the scores, two plots, the per-image matrices and a few pictures."""
    loaded = settings.load(key)
    wanted = settings.entry(loaded.table.models, key, "models")
    evaluation_settings = loaded.table.tables[wanted.table].evaluation
    fingerprint = labels.require_valid(valid, records)
    split = Records(records, evaluation_settings.split)
    examples, names = list(split), split.labels
    backend.use(loaded.common)
    from fcn import evaluation, models, tracking

    shown_pictures = min(evaluation_settings.pictures, len(examples))
    network = models.load(model)
    results = list(evaluation.predict(network, examples, evaluation_settings.batch))
    matrices = np.stack(
        [measured.confusion_matrix(e.label, mask, len(names.classes)) for e, mask in results]
    )
    total = matrices.sum(axis=0)
    scores, by_class = measured.scores(total), measured.per_class(total, names.classes)
    shown = wanted.model_dump() | {
        "evaluation": evaluation_settings.model_dump(),
        **loaded.common.model_dump(),
    }
    with tracking.run("evaluate", key, wanted.table, shown) as run:
        run.data(wanted.dataset, records, fingerprint, evaluation_settings.split)
        run.metrics(scores)
        run.metrics({f"iou_{name}": value for name, value in by_class.items()})
        with files.writing_folder(details) as aside:
            ids = [example.id for example in examples]
            intervals.write_matrices(aside / "matrices.parquet", ids, matrices)
            for number in np.linspace(0, len(results) - 1, shown_pictures, dtype=int):
                example, mask = results[number]
                picture = draw(example, mask, names)
                picture.save(aside / f"{example.id}.png")
                run.picture(example.id, picture)
    write_plots(plots, total, names)
    content = {
        "split": evaluation_settings.split,
        "images": len(examples),
        "stride": models.module(fcn.heads, wanted.head).STRIDE,
        **scores,
        "class_iou": by_class,
    }
    files.write_json(metrics, content)
    door.say(f"{key}: " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))


def draw(example: Decoded, mask: np.ndarray, names: Labels) -> Image.Image:
    """Return input, truth and prediction side by side."""
    panels = [
        ("input", pictures.rgb(example.image)),
        ("truth", pictures.colour(example.label, names)),
        ("prediction", pictures.colour(mask, names)),
    ]
    return pictures.row(panels, np.union1d(example.label, mask), names)


def write_plots(folder: Path, total: np.ndarray, names: Labels) -> None:
    """Write IoU by class, and the confusion matrix as shares of each true class."""
    iou = measured.class_iou(total)
    shares = total / np.maximum(total.sum(axis=1, keepdims=True), 1)
    confusion = [
        {"truth": names.classes[i], "prediction": names.classes[j], "share": round(shares[i, j], 6)}
        for i, j in np.ndindex(*total.shape)
    ]
    for name, rows in (
        (IOU, [{"class": c, "iou": v} for c, v in zip(names.classes, iou, strict=True)]),
        (CONFUSION, confusion),
    ):
        with files.writing(folder / name) as aside:
            pd.DataFrame(rows).to_csv(aside, index=False)


if __name__ == "__main__":
    door.main(
        __doc__,
        evaluate,
        key=str,
        records=Path,
        valid=Path,
        model=Path,
        metrics=Path,
        plots=Path,
        details=Path,
    )
