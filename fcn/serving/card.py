"""The model card beside an export: the model, its scores, its data, its limits.

The sections follow Mitchell et al., "Model Cards for Model Reporting", arXiv 1810.03993, table 1,
where this project has the facts.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcn.common import files
from fcn.datasets.shared import catalogue
from fcn.datasets.shared.dataset import Dataset
from fcn.records.fingerprint import fingerprint
from fcn.records.split import Records
from fcn.settings import reader

FILE = "README.md"
TABLES = Path("data/tables")


@dataclass(frozen=True)
class Agreement:
    """How closely an export agrees with its network."""

    pictures: int
    pixels: int
    difference: float
    """The largest of any logit."""
    largest: float
    """The largest logit, positive or negative."""
    equal: float
    """Share of pixels with the same class."""

    def __str__(self) -> str:
        """Return one line of text."""
        return (
            f"logits differ by {self.difference:.1e} at most (largest {self.largest:.3g}), "
            f"{self.equal:.3%} of {self.pixels:,} pixels have the same class"
        )


@dataclass(frozen=True)
class ExportedFile:
    """One file or folder of the export."""

    title: str
    file: str
    sha256: str
    sizes: str
    """Which sizes of pictures it takes."""
    agreement: Agreement


@dataclass(frozen=True)
class RowFacts:
    """Facts about the model from its table."""

    network: str
    """The row's name."""
    data: Dataset
    split: str
    table: str | None
    """The table as Markdown; None before it is written."""
    cells: Sequence[Mapping[str, Any]]
    """Published numbers with their verdicts; `fcn.report.verdicts` describes the fields."""


def read_row(key: str, root: Path = Path()) -> RowFacts:
    """Return the facts about a row of a table, measured or not.

    Raises:
        ValueError: `key` is no row of a table.
    """
    loaded = reader.load(key, root).table
    model = reader.entry(loaded.models, key, "models")
    table = loaded.tables[model.table]
    data = loaded.datasets[model.dataset]
    written = root / TABLES / f"{model.table}.md"
    verdicts = written.with_suffix(".json")
    return RowFacts(
        network=table.rows.get(key, key),
        data=catalogue.load(data.module, data.convert),
        split=table.evaluation.split,
        table=written.read_text("utf-8") if written.is_file() else None,
        cells=files.read_json(verdicts)["cells"] if verdicts.is_file() else (),
    )


def markdown(
    name: str,
    provenance: Mapping[str, str],
    split: Records,
    exported: Sequence[ExportedFile],
    row: RowFacts | None,
) -> str:
    """Return the card of the model `name`.

    Args:
        name: the title.
        provenance: hashes and where the model comes from, by their titles.
        split: the records that it was measured or compared on.
        exported: files in other formats, compared with it; without any the section is left out.
        row: None for a model of no table.
    """
    sections = [
        ("", _head(name, split, row)),
        *([("Files", _files(exported))] if exported else []),
        ("Classes", _classes(split)),
        ("Scores", _scores(row)),
        ("Data", _data(split, row)),
        ("Limits", _limits(split)),
        ("Provenance", [f"- {title}: `{fact}`" for title, fact in provenance.items()]),
    ]
    blocks = ["\n".join([f"## {title}\n"] * bool(title) + list(lines)) for title, lines in sections]
    return "\n\n".join(blocks) + "\n"


def _head(name: str, split: Records, row: RowFacts | None) -> Iterator[str]:
    channels = {1: "grey", 3: "RGB"}[split.labels.channels]
    yield f"# {name}\n"
    yield f"{row.network if row else 'A network'} that predicts the class of each pixel.\n"
    yield (
        f"- Input `images`: float32 B H W {split.labels.channels}, {channels} values 0..255, "
        "not normalised; the network normalises them itself."
    )
    yield (
        f"- Output: float32 logits B H W {len(split.labels.classes)}, at the input's "
        "height and width; the class is the index of the largest, its probability the softmax."
    )


def _files(exported: Sequence[ExportedFile]) -> Iterator[str]:
    yield "| file | format | largest difference | equal pixels | other sizes | SHA-256 |"
    yield "| --- | --- | ---: | ---: | --- | --- |"
    for file in exported:
        yield (
            f"| `{file.file}` | {file.title} | {file.agreement.difference:.1e} "
            f"| {file.agreement.equal:.3%} | {file.sizes} | `{file.sha256}` |"
        )
    agreement = exported[0].agreement
    yield ""
    yield (
        f"Compared with the network on {agreement.pictures} pictures of the data below, half of "
        f"them cropped to a size that it was not trained with: {agreement.pixels:,} pixels, the "
        f"largest logit {agreement.largest:.3g}. All compute in float32. A folder's hash is that "
        "of the list of its files' hashes, as `sha256sum` prints it, sorted by name."
    )


def _classes(split: Records) -> Iterator[str]:
    yield "| index | class | colour |"
    yield "| ---: | --- | --- |"
    labels = split.labels
    for index, (name, colour) in enumerate(zip(labels.classes, labels.colours, strict=True)):
        yield f"| {index} | {name} | {colour} |"


def _scores(row: RowFacts | None) -> Iterator[str]:
    if row is None or row.table is None:
        yield "Not measured: no table has this model."
        return
    # Headings one level down: the card has its own.
    yield from ("#" * 2 + line if line.startswith("#") else line for line in row.table.splitlines())
    if row.cells:
        yield ""
        yield "| network | row | metric | published | measured | verdict |"
        yield "| --- | --- | --- | ---: | ---: | --- |"
    for cell in row.cells:
        measured = "–" if cell["value"] is None else cell["value"]
        columns = (cell["network"], cell["row"], cell["metric"], cell["published"], measured)
        yield f"| {' | '.join(map(str, columns))} | {cell['verdict']} |"


def _data(split: Records, row: RowFacts | None) -> Iterator[str]:
    if row is not None:
        yield f"- {row.data.title}"
        yield f"- Licence: {row.data.licence}"
        yield f"- Citation: {row.data.citation}"
        yield from (
            f"- {overlap.rule} between {' and '.join(overlap.splits)}: {overlap.reason}"
            for overlap in row.data.overlaps
        )
    yield f"- Records `{split.labels.dataset}`, SHA-256 `{fingerprint(split.folder)}`"


def _limits(split: Records) -> Iterator[str]:
    heights, widths = {row.height for row in split.rows}, {row.width for row in split.rows}
    yield "- Every pixel gets one of the classes above, whatever it shows."
    yield (
        f"- It was measured on pictures {_span(widths)} pixels wide and {_span(heights)} pixels "
        "high. It takes any size; its scores at other sizes, or on pictures of another kind, were "
        "not measured."
    )
    yield (
        "- The scores are of one split of one data set. They do not cover a use where a mistake "
        "does harm."
    )
    yield "- Read the licence of the data before you distribute the model."


def _span(sizes: Iterable[int]) -> str:
    least, most = min(sizes := set(sizes)), max(sizes)
    return str(least) if least == most else f"{least} to {most}"
