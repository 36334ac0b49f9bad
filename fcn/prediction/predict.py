"""Masks, overlays and class shares of pictures, written as files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fcn.common import files, messages
from fcn.pictures import overlay, photos, provenance
from fcn.prediction import named_model, outputs, predictor, sticker
from fcn.prediction.options import PredictorOptions
from fcn.prediction.predictor import Failure, Predictor, Segmentation
from fcn.records.labels import Labels
from fcn.runtime import interrupts


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
    """A JSON file to write: the model with its file's SHA-256, the files of each picture done, why
    the others failed."""


def predict(pictures: Sequence[str], options: PredictorOptions, results: Results) -> int:
    """Predict and write; return the exit code.

    Raises:
        ValueError: there is no picture, no such model or class, or the folder is not writable.
    """
    names = photos.find(pictures)
    if results.folder is not None:
        files.require_writable(results.folder)
    stems = outputs.stems(names, beside=results.folder is None)
    done: dict[str, list[Path]] = {}
    failures: list[Failure] = []

    def require(labels: Labels) -> None:
        if results.sticker:
            sticker.number(results.sticker, labels)

    with outputs.interruptible(done, len(names)), predictor.load(options, require) as model:
        index = sticker.number(results.sticker, model.labels) if results.sticker else None
        predictions = model.predict(names, results.probabilities)
        for result in outputs.with_progress(predictions, len(names)):
            if isinstance(result, Failure):
                failures.append(result)
                continue
            stem = (results.folder or Path()) / stems[result.name]
            with interrupts.delayed():
                written = write(result, model, stem)
                if index is not None and results.sticker:
                    written += _write_sticker(result, model, index, results.sticker, stem)
                done[result.name] = written
    if results.report:
        _write_report(results.report, model, done, failures)
    where = f"in {results.folder}" if results.folder else "beside the pictures"
    return outputs.summarise(len(done), failures, where)


def write(segmentation: Segmentation, model: Predictor, stem: Path) -> list[Path]:
    """Write mask, overlay, class shares and, on request, probabilities; return the files."""
    labels, mask = model.labels, segmentation.mask
    present = np.flatnonzero(np.bincount(mask.ravel(), minlength=len(labels.classes)))
    blended = overlay.blend(segmentation.image, mask, labels)
    picture = overlay.draw_row([(Path(segmentation.name).name, blended)], present, labels)
    facts = model.provenance
    written = [stem.with_name(stem.name + end) for end in ("-mask.png", "-overlay.png")]
    files.write_bytes(written[0], provenance.encode_mask(mask, labels.colours, facts))
    files.write_bytes(written[1], provenance.encode_rgb(np.asarray(picture), facts))
    if segmentation.probabilities is not None:
        written.append(stem.with_name(f"{stem.name}-probabilities.npz"))
        with files.writing(written[-1]) as aside, aside.open("wb") as file:
            classes = np.array(labels.classes)
            np.savez(file, probabilities=segmentation.probabilities, classes=classes)
    # Last: a picture that has this file has the others too.
    written.append(stem.with_name(f"{stem.name}.json"))
    files.write_json(written[-1], shares(segmentation, model), flush=False)
    return written


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
) -> list[Path]:
    written = sticker.write(segmentation, model.provenance, index, name, stem)
    if not written:
        messages.say(f"{segmentation.name}: no {name} in it, so no sticker")
    return written


def _write_report(
    path: Path, model: Predictor, done: Mapping[str, list[Path]], failures: Sequence[Failure]
) -> None:
    content = {
        "model": model.title,
        "sha256": model.provenance[named_model.SHA256],
        "done": {name: [str(file) for file in written] for name, written in done.items()},
        "skipped": {failure.name: failure.reason for failure in failures},
    }
    files.write_json(path, content)
