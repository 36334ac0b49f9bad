"""Evaluate one trained network on the table's split."""

import csv
import resource
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from fcn.common import files, messages
from fcn.common.text import file_name
from fcn.inference import forward, tta
from fcn.network import build, model_file
from fcn.pictures import overlay
from fcn.records.labels import Labels
from fcn.records.split import Records
from fcn.runtime import collection
from fcn.scores import averaging, counting, extremes, metrics, per_image
from fcn.scores.per_image import PerImageCounts
from fcn.scores.summary import summarise
from fcn.settings import stages
from fcn.settings.keys import table_of
from fcn.settings.stages import EvaluateSettings
from fcn.settings.table import Evaluation
from fcn.tracking import runs
from fcn.tracking.runs import Run

CLASS_IOU, CONFUSION = "class_iou.csv", "confusion.csv"


@dataclass(frozen=True)
class EvaluationPaths:
    """Inputs and outputs of one evaluation."""

    records: Path
    fingerprint: str
    """SHA-256 of the records, whose labels are valid."""
    model: Path
    metrics: Path
    """JSON file to write: the scores on the whole split."""
    plots: Path
    """Folder for the CSV files of class IoU and confusion matrix."""
    details: Path
    """Folder to write: per-image counts, pictures."""


def run(key: str, settings: EvaluateSettings, paths: EvaluationPaths, tracked: bool) -> None:
    """Write scores, plots, per-image counts, and pictures of the best, median and worst images.

    Args:
        key: the key in `models`.
        settings: the evaluation's settings.
        paths: inputs and outputs.
        tracked: log to MLflow.

    Raises:
        ValueError: the model is not made for these records, or no pixel is labelled.
    """
    split = Records(paths.records, settings.evaluation.split)
    labels, network = split.labels, model_file.load(paths.model)
    classes, outputs = len(labels.classes), network.outputs[0].shape[-1]
    if outputs != classes:
        raise ValueError(
            f"{paths.model} predicts {outputs} classes, but {paths.records} has {classes}; "
            "`dvc repro` trains it for these records"
        )
    with (
        runs.open_run("evaluate", key, table_of(key), stages.logged(key), not tracked) as log,
        files.writing_folder(paths.details) as folder,
    ):
        log.log_dataset(
            paths.records.name, paths.records, paths.fingerprint, settings.evaluation.split
        )
        images, masks = count_images(network, split, settings.evaluation, log)
        per_image.write(folder / per_image.FILE, images)
        for rank, numbers in extremes.select(images, settings.evaluation.pictures).items():
            for position, number in enumerate(numbers, start=1):
                sample = split[number]
                mask = np.frombuffer(zlib.decompress(masks[number]), np.uint8)
                mask = mask.reshape(sample.label.shape)
                picture = overlay.draw_comparison(sample, mask, labels)
                picture.save(folder / f"{file_name(sample.id)}.png")
                # Named by rank: MLflow's compare page lines up files of equal names.
                log.log_picture(f"{rank}-{position}", picture)
        scores = summarise(images, labels.classes)
        log.log_metrics({name: value for name, value in scores.items() if isinstance(value, float)})
        log.log_metrics({f"iou_{name}": value for name, value in scores["class_iou"].items()})
        write_plots(paths.plots, images.total, labels)
        for name in (CLASS_IOU, CONFUSION):
            log.log_table(paths.plots / name)
    facts = {
        "split": settings.evaluation.split,
        "images": len(split),
        "stride": build.stride(settings.head, settings.network),
        "parameters": network.count_params(),
        "model_bytes": paths.model.stat().st_size,
    }
    files.write_json(paths.metrics, facts | scores)
    messages.say(f"{key}: " + ", ".join(f"{name} {scores[name]:.4f}" for name in metrics.SCORES))


def count_images(
    network: keras.Model, split: Records, evaluation: Evaluation, log: Run
) -> tuple[PerImageCounts, list[bytes]]:
    """Return the per-image counts of a split, and each predicted mask uint8 H W, compressed."""
    augmented = tta.with_augmentation(network, evaluation.scales, evaluation.flip)
    predictions = forward.predict_with_confidence(
        augmented, split, evaluation.batch, averaging.THRESHOLD, evaluation.window
    )
    classes, counts, masks = len(split.labels.classes), [], []
    collection.resume()
    began = time.perf_counter()
    for sample, predicted in predictions:
        counts.append(
            counting.count_image(
                sample.label, predicted.mask, predicted.confidence, predicted.thresholded, classes
            )
        )
        # Which images to draw is known at the end; until then a mask takes a few kilobytes.
        masks.append(zlib.compress(predicted.mask.tobytes(), level=1))
    # Only logged: in a file they would differ from run to run.
    log.log_metrics(
        {
            "milliseconds_per_image": 1e3 * (time.perf_counter() - began) / len(split),
            "peak_memory_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        }
    )
    return per_image.stack(split.rows, counts), masks


def write_plots(folder: Path, confusion: np.ndarray, labels: Labels) -> None:
    """Write the scores of each class, and the confusion matrix K K as shares of each true class."""
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    by_class = zip(
        labels.classes,
        metrics.class_iou(confusion),
        metrics.class_accuracy(confusion),
        metrics.class_dice(confusion),
        strict=True,
    )
    _write_csv(
        folder / CLASS_IOU,
        (
            {"class": name, "iou": iou, "accuracy": accuracy, "dice": dice}
            for name, iou, accuracy, dice in by_class
        ),
    )
    _write_csv(
        folder / CONFUSION,
        (
            {
                "truth": labels.classes[truth],
                "prediction": labels.classes[prediction],
                "share": round(shares[truth, prediction], 6),
            }
            for truth, prediction in np.ndindex(*confusion.shape)
        ),
    )


def _write_csv(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write rows with the same columns; NaN is an empty cell."""
    rows = list(rows)
    with files.writing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows([_cell(value) for value in row.values()] for row in rows)


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if np.isnan(value) else float(value)
    return value
