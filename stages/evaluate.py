r"""Evaluate one trained network on the table's split.

Run:
    python -m stages.evaluate digits-fcn16s --records data/records/digits \
        --valid data/reports/digits/valid.json --model data/models/digits-fcn16s.keras \
        --metrics data/metrics/digits/digits-fcn16s.json \
        --plots data/plots/digits/digits-fcn16s --details data/evaluations/digits-fcn16s
"""

from pathlib import Path
from typing import Annotated

from typer import Option

from fcn.cli import arguments, command_line
from fcn.network import backend
from fcn.records import verdict
from fcn.settings.stages import EvaluateSettings


def evaluate(
    key: arguments.Key,
    records: arguments.Records,
    valid: arguments.Valid,
    model: Annotated[Path, Option(help="Model file (.keras) to evaluate.")],
    metrics: Annotated[Path, Option(help="JSON file to write: the scores on the whole split.")],
    plots: Annotated[
        Path, Option(help="Folder to write: CSV files with class IoU and confusion matrix.")
    ],
    details: Annotated[
        Path, Option(help="Folder to write: per-image counts (Parquet), best and worst pictures.")
    ],
    no_tracking: arguments.NoTracking = False,
) -> None:
    """Choose the backend, then evaluate."""
    settings = EvaluateSettings.of(key)
    fingerprint = verdict.require_valid(valid, records)
    with backend.loading(settings.compute):
        from fcn.jobs import evaluate as job

    paths = job.EvaluationPaths(records, fingerprint, model, metrics, plots, details)
    job.run(key, settings, paths, tracked=not no_tracking)


if __name__ == "__main__":
    command_line.run(evaluate)
