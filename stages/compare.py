r"""Measure two models on the same validation images: by how much is the new one better?

Run:
    python -m stages.compare digits --records data/records/digits \
        --valid data/reports/digits/valid.json --champion in-use.keras --candidate new.keras \
        --out evidence.json

Not in dvc.yaml: `flows.promote` asks, when a model is about to be put in use. The test split is
for tables only; whoever chose models by it could no longer report it.
"""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from typer import Option

from fcn.cli import arguments, command_line
from fcn.common import files, messages
from fcn.network import backend
from fcn.records import verdict
from fcn.records.split import Records
from fcn.scores import metrics, per_image
from fcn.settings import reader
from fcn.uncertainty import intervals

SPLIT = "val"


def compare(
    key: arguments.Key,
    records: arguments.Records,
    valid: arguments.Valid,
    champion: Annotated[Path, Option(help="Model file (.keras) now in use.")],
    candidate: Annotated[Path, Option(help="Model file (.keras) that may replace it.")],
    out: Annotated[Path, Option(help="JSON file to write: both scores and their difference.")],
) -> None:
    """Write both mean IoU and the paired bootstrap interval of their difference."""
    loaded = reader.load(key)
    wanted = reader.entry(loaded.table.tables, key, "tables")
    fingerprint = verdict.require_valid(valid, records)
    split, drawing = Records(records, SPLIT), loaded.common.intervals
    names = split.labels
    expected = (names.channels, len(names.classes))
    units = per_image.resampling_units([tuple(row.group) for row in split.rows])
    backend.use(loaded.common)
    from fcn.inference import forward
    from fcn.network import model_file

    scores, drawn = {}, {}
    for role, path in (("champion", champion), ("candidate", candidate)):
        with _named(role):
            network = model_file.load(path)
            known = (network.inputs[0].shape[-1], network.outputs[0].shape[-1])
            if known != expected:
                raise ValueError(
                    "it has {} channels and tells {} classes apart, ".format(*known)
                    + "but the records have {} channels and {} classes".format(*expected)
                )
        matrices = forward.confusion_matrices(network, split, wanted.evaluation.batch, expected[1])
        scores[role] = metrics.mean_iou(matrices.sum(axis=0))
        # The same seed and units draw the same images for both.
        drawn[role] = intervals.resample_mean_iou(
            matrices, drawing.resamples, loaded.common.seed, units
        )
    spread = intervals.percentile_interval(drawn["candidate"] - drawn["champion"], drawing.level)
    evidence = {
        "split": SPLIT,
        "images": len(split),
        "units": int(units.max()) + 1,
        "records": fingerprint,
        **scores,
        "difference": scores["candidate"] - scores["champion"],
        "low": spread.low,
        "high": spread.high,
        **drawing.model_dump(),
        "seed": loaded.common.seed,
    }
    files.write_json(out, evidence)
    messages.say(
        f"{key}: mean IoU {scores['candidate']:.4f} against {scores['champion']:.4f}, difference "
        f"{evidence['difference']:+.4f} [{spread.low:+.4f}, {spread.high:+.4f}]"
    )


@contextmanager
def _named(role: str) -> Iterator[None]:
    """Say which of the two is meant; its file is a copy that nobody else knows."""
    try:
        yield
    except ValueError as error:
        # Keras puts a whole configuration before the reason.
        reason = str(error.__cause__ or error).rpartition("Exception encountered: ")[2]
        short = textwrap.shorten(reason, 300)
        raise ValueError(f"the {role} cannot be measured: {short}") from error


if __name__ == "__main__":
    command_line.run(compare)
