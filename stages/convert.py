"""Turn a data set's raw files into records.

Run:
    python -m stages.convert digits --raw data/raw/digits --out data/records/digits
"""

from pathlib import Path
from typing import Annotated

from typer import Option

from fcn.cli import arguments, command_line
from fcn.common import files, messages
from fcn.conversion import shards
from fcn.datasets.shared import catalogue
from fcn.datasets.shared.dataset import Dataset
from fcn.download import archives
from fcn.settings import reader


def convert(
    key: arguments.Key,
    raw: arguments.Raw,
    out: Annotated[Path, Option(help="Folder to write: records (TFRecord), index and labels.")],
) -> None:
    """Write the records, the index and the labels of all splits."""
    loaded = reader.load(key)
    data = reader.entry(loaded.table.datasets, key, "datasets")
    asked = data.convert
    dataset = catalogue.load(data.module, asked)
    with archives.laid_out(raw, dataset.archives, beside=out) as root:
        samples = {
            split: shards.samples(data.module, asked, root, split, loaded.common.seed)
            for split in asked.splits
        }
        for split, found in samples.items():
            promised(dataset, split, asked.splits[split], len(found))
        with files.writing_folder(out) as folder:
            shards.write(
                folder, dataset, samples, asked.shards, asked.encoding, loaded.common.workers
            )
    counts = ", ".join(f"{len(found)} {split}" for split, found in samples.items())
    messages.say(f"{key}: {counts} examples in {asked.shards} files per split")


def promised(dataset: Dataset, split: str, count: int, found: int) -> None:
    """Raise if there are fewer samples than the settings promise, or more of a set that is whole."""
    if found < count or (found > count and not dataset.grows):
        raise ValueError(
            f"{dataset.name} {split}: {found} samples, but the settings promise {count}; "
            f"bring the missing files, or correct `convert.splits.{split}` in the table file"
        )


if __name__ == "__main__":
    command_line.run(convert)
