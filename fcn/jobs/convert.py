"""Convert one data set: its raw files become records, an index and labels."""

from pathlib import Path

from fcn.common import files, messages
from fcn.conversion import shards
from fcn.datasets.shared import catalogue
from fcn.datasets.shared.dataset import Dataset
from fcn.download import archives
from fcn.settings.stages import ConvertSettings


def run(key: str, settings: ConvertSettings, raw: Path, out: Path) -> None:
    """Write the records, the index and the labels of all splits of `key` into the folder `out`.

    Raises:
        ValueError: raw files are missing or wrong, or a split has another number of samples.
    """
    convert = settings.convert
    dataset = catalogue.load(settings.module, convert)
    with archives.laid_out(raw, dataset.archives, beside=out) as root:
        samples = {
            split: shards.samples(settings.module, convert, root, split, settings.seed)
            for split in convert.splits
        }
        for split, members in samples.items():
            require_count(dataset, split, len(members), convert.splits[split])
        with files.writing_folder(out) as folder:
            shards.write(
                folder, dataset, samples, convert.shards, convert.encoding, settings.workers
            )
    counts = ", ".join(f"{len(members)} {split}" for split, members in samples.items())
    messages.say(f"{key}: {counts} samples in {convert.shards} files per split")


def require_count(dataset: Dataset, split: str, count: int, expected: int) -> None:
    """Refuse fewer samples than the settings expect; more are allowed if the data set may grow."""
    if count < expected or (count > expected and not dataset.grows):
        raise ValueError(
            f"{dataset.name} {split}: got {count} samples, the settings expect {expected}; "
            f"add the missing files, or correct `convert.splits.{split}` in the table file"
        )
