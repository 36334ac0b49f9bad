r"""Write the table and its page from the results of its rows.

Run:
    python -m stages.table digits --metrics data/metrics/digits \
        --details data/evaluations/digits --markdown data/tables/digits.md \
        --csv data/tables/digits.csv --json data/tables/digits.json \
        --plots data/plots/digits --reports data/reports/digits --hashes data/hashes \
        --html data/tables/digits.html --counts data/tables/digits.counts.parquet \
        --machine data/tables/digits.machine.json

The JSON file holds every published cell with its verdict. Its last version names the cells that
were reproduced before: with `gate: reproduced` the stage fails if one of them no longer is.
`fcn verdict` compares the counts and the machine with those of the last commit.
"""

from pathlib import Path
from typing import Annotated

from typer import Option

from fcn.cli import arguments, command_line
from fcn.settings.stages import TableSettings


def table(
    key: arguments.Key,
    metrics: Annotated[Path, Option(help="Folder of the scores (JSON) of all rows.")],
    details: Annotated[Path, Option(help="Folder of the per-image counts of all rows.")],
    plots: Annotated[Path, Option(help="Folder of the plots' data (CSV) of all rows.")],
    reports: Annotated[Path, Option(help="Folder of what `validate` reported on the labels.")],
    hashes: Annotated[Path, Option(help="Folder of sizes and hashes of the downloads.")],
    markdown: Annotated[Path, Option(help="File to write: the table as Markdown.")],
    csv: Annotated[Path, Option(help="File to write: the table as CSV.")],
    json: Annotated[
        Path, Option(help="File to write: each published cell's verdict; its last version is read.")
    ],
    html: Annotated[Path, Option(help="File to write: the page with the table and its evidence.")],
    counts: Annotated[
        Path, Option(help="File to write: confusion matrices of rows and images (Parquet).")
    ],
    machine: Annotated[Path, Option(help="File to write: CPU, cores and versions (JSON).")],
) -> None:
    """Write the table, its verdicts, its page, and what another machine compares itself with."""
    from fcn.jobs import table as job  # imports NumPy and Arrow

    inputs = job.Inputs(metrics, details, plots, reports, hashes)
    outputs = job.Outputs(markdown, csv, json, html, counts, machine)
    job.run(key, TableSettings.of(key), inputs, outputs)


if __name__ == "__main__":
    command_line.run(table)
