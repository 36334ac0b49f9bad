"""Masks, overlays and class shares of pictures, written as files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fcn.common import files, messages
from fcn.pictures import overlay, photos, provenance
from fcn.prediction import outputs, predictor, sticker
from fcn.prediction.options import PredictorOptions
from fcn.prediction.predictor import Failure, Predictor, Segmentation


@dataclass(frozen=True)
class Results:
    """Which files to write, and where."""

    folder: Path | None
    """None: beside each picture."""
    probabilities: bool = False
    """Whether to write the softmax of every class and pixel."""
    sticker: str | None = None
    """A class to cut out as well (`fcn.prediction.sticker`)."""
    report: Path | None = None
    """A JSON file that lists the pictures done, and the failures with their reasons."""


def predict(pictures: Sequence[str], options: PredictorOptions, results: Results) -> int:
    """Predict and write; return the exit code.

    Raises:
        ValueError: there is no picture, no such model or class, or the folder is not writable.
    """
    names = photos.find(pictures)
    if results.folder is not None:
        files.require_writable(results.folder)
    stems = outputs.stems(names, beside=results.folder is None)
    done: list[str] = []
    failures: list[Failure] = []
    with predictor.load(options) as model:
        index = sticker.number(results.sticker, model.labels) if results.sticker else None
        predictions = model.predict(names, results.probabilities)
        for result in outputs.with_progress(predictions, len(names)):
            if isinstance(result, Failure):
                failures.append(result)
                continue
            folder = Path(result.name).parent if results.folder is None else results.folder
            stem = folder / stems[result.name]
            write(result, model, stem)
            if index is not None and results.sticker:
                _write_sticker(result, model, index, results.sticker, stem)
            done.append(result.name)
    if results.report:
        reasons = {failure.name: failure.reason for failure in failures}
        files.write_json(results.report, {"done": done, "skipped": reasons})
    where = f"in {results.folder}" if results.folder else "beside the pictures"
    return outputs.summarise(len(done), failures, where)


def write(segmentation: Segmentation, model: Predictor, stem: Path) -> None:
    """Write mask, overlay, class shares and, on request, probabilities."""
    labels, mask = model.labels, segmentation.mask
    present = np.flatnonzero(np.bincount(mask.ravel(), minlength=len(labels.classes)))
    blended = overlay.blend(segmentation.image, mask, labels)
    picture = overlay.draw_row([(Path(segmentation.name).name, blended)], present, labels)
    facts = model.provenance
    files.write_bytes(_path(stem, "-mask.png"), provenance.encode_mask(mask, labels.colours, facts))
    files.write_bytes(
        _path(stem, "-overlay.png"), provenance.encode_rgb(np.asarray(picture), facts)
    )
    if segmentation.probabilities is not None:
        with files.writing(_path(stem, "-probabilities.npz")) as aside, aside.open("wb") as file:
            classes = np.array(labels.classes)
            np.savez(file, probabilities=segmentation.probabilities, classes=classes)
    # Last: a picture that has this file has the others too.
    files.write_json(_path(stem, ".json"), shares(segmentation, model), flush=False)


def shares(segmentation: Segmentation, model: Predictor) -> dict[str, Any]:
    """Return the JSON file's content: size, each class's share of the pixels, provenance."""
    height, width = segmentation.mask.shape
    counts = np.bincount(segmentation.mask.ravel(), minlength=len(model.labels.classes))
    return {
        "picture": segmentation.name,
        "height": height,
        "width": width,
        "shares": {
            name: count / segmentation.mask.size
            for name, count in zip(model.labels.classes, counts.tolist(), strict=True)
        },
        "origin": model.provenance,
    }


def _write_sticker(
    segmentation: Segmentation, model: Predictor, index: int, name: str, stem: Path
) -> None:
    if not sticker.write(segmentation, model.provenance, index, name, stem):
        messages.say(f"{segmentation.name}: no {name} in it, so no sticker")


def _path(stem: Path, end: str) -> Path:
    return stem.with_name(stem.name + end)
