"""The model card beside an export: what it is, how good, of which data, with which limits.

The sections follow Mitchell et al., "Model Cards for Model Reporting", arXiv 1810.03993, table 1,
as far as this project knows what they ask for.
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
class Equality:
    """How far an export and its network agree."""

    pictures: int
    pixels: int
    difference: float
    """The largest of any logit."""
    largest: float
    """The largest logit, positive or negative."""
    equal: float
    """Share of pixels with the same class."""

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"logits differ by {self.difference:.1e} at most (largest {self.largest:.3g}), "
            f"{self.equal:.3%} of {self.pixels:,} pixels have the same class"
        )


@dataclass(frozen=True)
class Kept:
    """One file or folder of the export."""

    title: str
    file: str
    sha256: str
    sizes: str
    """How it takes pictures of other sizes."""
    equality: Equality


@dataclass(frozen=True)
class Origin:
    """What the model's table says of it."""

    network: str
    """The row's name."""
    data: Dataset
    split: str
    table: str | None
    """The table as Markdown, where it was written."""
    cells: Sequence[Mapping[str, Any]]
    """Published numbers with their verdicts; `fcn.report.verdicts` says what is in them."""


def origin(key: str, root: Path = Path()) -> Origin:
    """Return what the table of a row knows, measured or not yet.

    Raises:
        ValueError: `key` is no row of a table.
    """
    loaded = reader.load(key, root).table
    model = reader.entry(loaded.models, key, "models")
    table = loaded.tables[model.table]
    data = loaded.datasets[model.dataset]
    written = root / TABLES / f"{model.table}.md"
    verdicts = written.with_suffix(".json")
    return Origin(
        network=table.rows.get(key, key),
        data=catalogue.load(data.module, data.convert),
        split=table.evaluation.split,
        table=written.read_text("utf-8") if written.is_file() else None,
        cells=files.read_json(verdicts)["cells"] if verdicts.is_file() else (),
    )


def markdown(
    name: str,
    facts: Mapping[str, str],
    split: Records,
    kept: Sequence[Kept],
    known: Origin | None,
) -> str:
    """Return the card of the model `name`; `facts` say where it comes from."""
    sections = [
        ("", _what(name, split, known)),
        ("Files", _files(kept)),
        ("Classes", _classes(split)),
        ("Scores", _scores(known)),
        ("Data", _data(split, known)),
        ("Limits", _limits(split)),
        ("Origin", [f"- {title}: `{fact}`" for title, fact in facts.items()]),
    ]
    blocks = ["\n".join([f"## {title}\n"] * bool(title) + list(lines)) for title, lines in sections]
    return "\n\n".join(blocks) + "\n"


def _what(name: str, split: Records, known: Origin | None) -> Iterator[str]:
    channels = {1: "grey", 3: "RGB"}[split.labels.channels]
    yield f"# {name}\n"
    yield f"{known.network if known else 'A network'} that names the class of each pixel.\n"
    yield (
        f"- Input `images`: float32 B H W {split.labels.channels}, {channels} values 0..255 as "
        "they are; the network shifts and scales them itself."
    )
    yield (
        f"- Output: float32 logits B H W {len(split.labels.classes)}, of the same height and "
        "width; the class is the index of the largest, its probability the softmax."
    )


def _files(kept: Sequence[Kept]) -> Iterator[str]:
    yield "| file | format | largest difference | equal pixels | other sizes | SHA-256 |"
    yield "| --- | --- | ---: | ---: | --- | --- |"
    for one in kept:
        found = one.equality
        yield (
            f"| `{one.file}` | {one.title} | {found.difference:.1e} | {found.equal:.3%} "
            f"| {one.sizes} | `{one.sha256}` |"
        )
    found = kept[0].equality
    yield ""
    yield (
        f"Compared with the network on {found.pictures} pictures of the data below, half of them "
        f"cut to a size that it never saw: {found.pixels:,} pixels, the largest logit "
        f"{found.largest:.3g}. All compute in float32. A folder's hash is that of the list of its "
        "files' hashes, as `sha256sum` prints it, sorted by name."
    )


def _classes(split: Records) -> Iterator[str]:
    yield "| index | class | colour |"
    yield "| ---: | --- | --- |"
    labels = split.labels
    for index, (name, colour) in enumerate(zip(labels.classes, labels.colours, strict=True)):
        yield f"| {index} | {name} | {colour} |"


def _scores(known: Origin | None) -> Iterator[str]:
    if known is None or known.table is None:
        yield "Not measured: no table holds this model."
        return
    # Headings one level down: the card has its own.
    yield from (
        "#" * 2 + line if line.startswith("#") else line for line in known.table.splitlines()
    )
    if known.cells:
        yield ""
        yield "| published | row | metric | there | here | verdict |"
        yield "| --- | --- | --- | ---: | ---: | --- |"
    for cell in known.cells:
        here = "–" if cell["value"] is None else cell["value"]
        names = (cell["network"], cell["row"], cell["metric"], cell["published"], here)
        yield f"| {' | '.join(map(str, names))} | {cell['verdict']} |"


def _data(split: Records, known: Origin | None) -> Iterator[str]:
    if known is not None:
        yield f"- {known.data.title}"
        yield f"- Licence: {known.data.licence}"
        yield f"- Citation: {known.data.citation}"
        yield from (
            f"- {one.rule} between {' and '.join(one.splits)}: {one.reason}"
            for one in known.data.overlaps
        )
    yield f"- Records `{split.labels.dataset}`, SHA-256 `{fingerprint(split.folder)}`"


def _limits(split: Records) -> Iterator[str]:
    heights, widths = {row.height for row in split.rows}, {row.width for row in split.rows}
    yield "- Every pixel gets one of the classes above, whatever it shows."
    yield (
        f"- The pictures it was measured on are {_span(heights)} pixels high and {_span(widths)} "
        "wide. It takes any size; how good it is at others, or on pictures of another kind, nobody "
        "has measured."
    )
    yield (
        "- The scores are of one split of one data set. They say nothing of a use where a mistake "
        "does harm."
    )
    yield "- Read the licence of the data before you pass the model on."


def _span(sizes: Iterable[int]) -> str:
    least, most = min(sizes := set(sizes)), max(sizes)
    return str(least) if least == most else f"{least} to {most}"
