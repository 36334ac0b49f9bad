r"""Make the backbone that the first FCN is initialised from.

Run:
    python -m stages.backbone digits-vgg16 --raw data/raw/digits \
        --valid data/reports/digits/valid.json --records data/records/digits \
        --out data/models/digits-vgg16.keras --metrics data/metrics/digits/digits-vgg16.json

`weights: classifier` trains a classifier on single objects of the training pool and converts its
dense layers to convolutions; `file` reads weights from a file in the raw folder; `scratch` keeps
random weights.
"""

from pathlib import Path
from typing import Annotated

from typer import Option

from fcn.cli import arguments, command_line
from fcn.network import backend
from fcn.records import verdict
from fcn.runtime import devices
from fcn.settings.stages import BackboneSettings


def backbone(
    key: arguments.Key,
    raw: arguments.Raw,
    records: arguments.Records,
    valid: arguments.Valid,
    out: Annotated[Path, Option(help="Model file (.keras) to write.")],
    metrics: Annotated[
        Path, Option(help="JSON file to write: the classifier's accuracy on each split.")
    ],
    no_tracking: arguments.NoTracking = False,
) -> None:
    """Choose the backend, then make the backbone."""
    settings = BackboneSettings.of(key)
    fingerprint = verdict.require_valid(valid, records)
    devices.reserve(key)
    with backend.loading(settings.compute):
        from fcn.jobs import backbone as job

    paths = job.BackbonePaths(raw, records, fingerprint, out, metrics)
    job.run(key, settings, paths, tracked=not no_tracking)


if __name__ == "__main__":
    command_line.run(backbone)
