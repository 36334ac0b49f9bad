"""Put the table together from the metrics of its rows.

Run:
    python -m stages.table digits --metrics data/metrics/digits \
        --markdown data/tables/digits.md --csv data/tables/digits.csv
"""

from pathlib import Path
from typing import Any

from fcn import dataset, door, files, report, settings
from fcn.metrics import SCORES


def table(key: str, metrics: Path, markdown: Path, csv: Path) -> None:
    """Write the table as Markdown and as CSV."""
    loaded = settings.load(key).table
    wanted = settings.entry(loaded.tables, key, "tables")
    source = dataset.load(wanted.source)
    ceiling = files.read_json(metrics / "ceiling.json")
    results = {row: files.read_json(metrics / f"{row}.json") for row in wanted.rows}
    first = next(iter(results.values()))
    content = report.Report(
        title=wanted.title,
        split=first["split"],
        examples=first["images"],
        method=ceiling["method"],
        rows=[_row(row, wanted.rows[row], results[row], ceiling) for row in results],
        classifiers=_classifiers(loaded, metrics),
        citation=source.citation,
    )
    for path, text in (
        (markdown, report.markdown(content)),
        (csv, report.comma_separated(content)),
    ):
        with files.writing(path) as aside:
            aside.write_text(text, "utf-8")
    door.say(report.markdown(content))


def _row(key: str, name: str, result: dict[str, Any], ceiling: dict[str, Any]) -> report.Row:
    scores = {score: result[score] for score in SCORES}
    at_stride = ceiling["mean_iou"].get(str(result["stride"]))
    return report.Row(key, name, result["stride"], scores, result["class_iou"], at_stride)


def _classifiers(loaded: settings.TableFile, metrics: Path) -> dict[str, float]:
    """Return the accuracy on unseen objects of each backbone that began as a classifier."""
    found = {}
    for key, backbone in loaded.backbones.items():
        if backbone.weights == "classifier":
            found[key] = files.read_json(metrics / f"{key}.json")["accuracy"]["test"]
    return found


if __name__ == "__main__":
    door.main(__doc__, table, key=str, metrics=Path, markdown=Path, csv=Path)
