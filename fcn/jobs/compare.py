"""Evaluate two models on the same validation images; how much better is the candidate?"""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras

from fcn.common import files, messages
from fcn.inference import forward
from fcn.network import model_file
from fcn.records.split import Records
from fcn.runtime import collection
from fcn.scores import metrics, per_image
from fcn.settings.stages import CompareSettings
from fcn.uncertainty import intervals

SPLIT = "val"


@dataclass(frozen=True)
class ComparePaths:
    """Inputs and output of one comparison."""

    records: Path
    fingerprint: str
    """SHA-256 of the records, whose labels are valid."""
    champion: Path
    candidate: Path
    out: Path
    """JSON file to write."""


def run(key: str, settings: CompareSettings, paths: ComparePaths) -> None:
    """Write both mean IoU and the paired bootstrap interval of their difference.

    Raises:
        ValueError: one of the models cannot be evaluated on these records.
    """
    split, options = Records(paths.records, SPLIT), settings.intervals
    units = per_image.resampling_units([row.group for row in split.rows])
    scores, resamples = {}, {}
    for role, path in (("champion", paths.champion), ("candidate", paths.candidate)):
        with _naming(role):
            network = _load(path, split)
        classes = len(split.labels.classes)
        collection.resume()
        matrices = forward.confusion_matrices(network, split, settings.batch, classes)
        scores[role] = metrics.mean_iou(matrices.sum(axis=0))
        # The same seed and units draw the same images for both models.
        resamples[role] = intervals.resample_mean_iou(
            matrices, options.resamples, settings.compute.seed, units
        )
    difference = resamples["candidate"] - resamples["champion"]
    interval = intervals.percentile_interval(difference, options.level)
    evidence = {
        "split": SPLIT,
        "images": len(split),
        "units": int(units.max()) + 1,
        "records": paths.fingerprint,
        **scores,
        "difference": scores["candidate"] - scores["champion"],
        "low": interval.low,
        "high": interval.high,
        **options.model_dump(),
        "seed": settings.compute.seed,
    }
    files.write_json(paths.out, evidence)
    messages.say(
        f"{key}: mean IoU {scores['candidate']:.4f} against {scores['champion']:.4f}, difference "
        f"{evidence['difference']:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"
    )


def _load(path: Path, split: Records) -> keras.Model:
    network = model_file.load(path)
    got = (network.inputs[0].shape[-1], network.outputs[0].shape[-1])
    needed = (split.labels.channels, len(split.labels.classes))
    if got != needed:
        raise ValueError(
            f"it has {got[0]} channels and {got[1]} classes, "
            f"but the records have {needed[0]} channels and {needed[1]} classes"
        )
    return network


@contextmanager
def _naming(role: str) -> Iterator[None]:
    """Name the model in errors by its role: its file is a temporary copy."""
    try:
        yield
    except ValueError as error:
        # Keras puts a whole configuration before the reason.
        reason = str(error.__cause__ or error).rpartition("Exception encountered: ")[2]
        short = textwrap.shorten(reason, 300)
        raise ValueError(f"the {role} cannot be evaluated: {short}") from error
