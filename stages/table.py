"""Put the table together from the metrics and the per-image matrices of its rows.

Run:
    python -m stages.table digits --metrics data/metrics/digits \
        --details data/evaluations/digits \
        --markdown data/tables/digits.md --csv data/tables/digits.csv
"""

from pathlib import Path

from fcn import catalogue, door, files, intervals, report, settings, tallies
from fcn.metrics import SCORES
from fcn.schema.common import Common
from fcn.schema.table import TableFile


def table(key: str, metrics: Path, details: Path, markdown: Path, csv: Path) -> None:
    """Write the table as Markdown and as CSV."""
    loaded = settings.load(key)
    wanted = settings.entry(loaded.table.tables, key, "tables")
    source = catalogue.load(wanted.source, loaded.table.datasets[wanted.dataset].convert)
    ceiling = files.read_json(metrics / "ceiling.json")
    first = files.read_json(metrics / f"{next(iter(wanted.rows))}.json")
    content = report.Report(
        title=wanted.title,
        split=first["split"],
        examples=first["images"],
        level=loaded.common.intervals.level,
        method=ceiling["method"],
        rows=_rows(wanted.rows, metrics, details, ceiling["mean_iou"], loaded.common),
        classifiers=_classifiers(loaded.table, metrics),
        overlaps=source.overlaps,
        citation=source.citation,
    )
    for path, text in (
        (markdown, report.markdown(content)),
        (csv, report.comma_separated(content)),
    ):
        with files.writing(path) as aside:
            aside.write_text(text, "utf-8")
    door.say(report.markdown(content))


def _rows(
    names: dict[str, str],
    metrics: Path,
    details: Path,
    ceilings: dict[str, float],
    common: Common,
) -> list[report.Row]:
    rows: list[report.Row] = []
    ids_before, drawn_before = None, None
    for key, name in names.items():
        result = files.read_json(metrics / f"{key}.json")
        images = tallies.read(details / key / tallies.FILE)
        if ids_before not in (None, images.ids):
            raise ValueError(f"{key} was measured on other images than the row before it")
        units = images.units()
        drawn = intervals.resampled_mean_iou(
            images.counts, common.intervals.resamples, common.seed, units
        )
        gain = None
        if drawn_before is not None:
            spread = intervals.interval(drawn - drawn_before, common.intervals.level)
            gain = (result["mean_iou"] - rows[-1].scores["mean_iou"], spread)
        rows.append(
            report.Row(
                key=key,
                name=name,
                stride=result["stride"],
                scores={score: result[score] for score in SCORES},
                class_iou=result["class_iou"],
                ceiling=ceilings.get(str(result["stride"])),
                interval=intervals.interval(drawn, common.intervals.level),
                units=int(units.max()) + 1,
                gain=gain,
            )
        )
        ids_before, drawn_before = images.ids, drawn
    return rows


def _classifiers(loaded: TableFile, metrics: Path) -> dict[str, float]:
    """Return the accuracy on unseen objects of each backbone that began as a classifier."""
    found = {}
    for key, backbone in loaded.backbones.items():
        if backbone.weights == "classifier":
            found[key] = files.read_json(metrics / f"{key}.json")["accuracy"]["test"]
    return found


if __name__ == "__main__":
    door.main(__doc__, table, key=str, metrics=Path, details=Path, markdown=Path, csv=Path)
