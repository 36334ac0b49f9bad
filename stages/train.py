r"""Train one network, initialised from the model before it (FCN-32s -> 16s -> 8s).

Run:
    python -m stages.train digits-fcn16s --records data/records/digits \
        --valid data/reports/digits/valid.json --init-from data/models/digits-fcn32s.keras \
        --out data/models/digits-fcn16s.keras --curve data/plots/digits/digits-fcn16s/loss.csv
"""

from pathlib import Path
from typing import Annotated

from typer import Option

from fcn.cli import arguments, command_line
from fcn.network import backend
from fcn.records import verdict
from fcn.runtime import devices
from fcn.settings.stages import TrainSettings


def train(
    key: arguments.Key,
    records: arguments.Records,
    valid: arguments.Valid,
    init_from: Annotated[Path, Option(help="Model file (.keras) with the initial weights.")],
    out: Annotated[Path, Option(help="Model file (.keras) to write.")],
    curve: Annotated[Path, Option(help="CSV file to write: the losses and scores of each epoch.")],
    no_tracking: arguments.NoTracking = False,
) -> None:
    """Choose the backend, then train."""
    settings = TrainSettings.of(key)
    fingerprint = verdict.require_valid(valid, records)
    devices.reserve(key)
    with backend.loading(settings.compute):
        from fcn.jobs import train as job

    paths = job.TrainingPaths(records, fingerprint, init_from, out, curve)
    job.run(key, settings, paths, tracked=not no_tracking)


if __name__ == "__main__":
    command_line.run(train)
