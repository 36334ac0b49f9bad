"""Turn a data set's raw files into records.

Run:
    python -m stages.convert digits --raw data/raw/digits --out data/records/digits
"""

from collections.abc import Iterator
from pathlib import Path

from fcn import dataset, door, files, records, settings
from fcn.dataset import Dataset, Pair


def convert(key: str, raw: Path, out: Path) -> None:
    """Write the records, the index and the labels of all splits."""
    loaded = settings.load(key)
    data = settings.entry(loaded.table.datasets, key, "datasets")
    source = dataset.load(data.module)
    splits = {
        split: promised(source, raw, split, count, loaded.common.seed)
        for split, count in data.convert.splits.items()
    }
    with files.writing_folder(out) as folder:
        records.write(folder, source, splits, data.convert.shards)
    counts = ", ".join(f"{count} {split}" for split, count in data.convert.splits.items())
    door.say(f"{key}: {counts} examples in {data.convert.shards} files per split")


def promised(source: Dataset, raw: Path, split: str, count: int, seed: int) -> Iterator[Pair]:
    """Yield the pairs of a split; raise if they are more or fewer than the settings promise."""
    if split not in source.splits:
        raise ValueError(f"{source.name} has no split {split!r}; it has {', '.join(source.splits)}")
    found = 0
    for pair in source.pairs(raw, split, count, seed):
        found += 1
        yield pair
    if found != count:
        raise ValueError(f"{source.name} {split}: {found} pairs, but the settings promise {count}")


if __name__ == "__main__":
    door.main(__doc__, convert, key=str, raw=Path, out=Path)
