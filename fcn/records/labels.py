"""`labels.json`: what the numbers in a folder's masks mean."""

from dataclasses import asdict, dataclass
from pathlib import Path

from fcn.common import files
from fcn.records.index import CONVERT_AGAIN
from fcn.records.sample import Overlap

LABELS = "labels.json"


@dataclass(frozen=True)
class Labels:
    """What the numbers in the masks mean."""

    dataset: str
    classes: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    channels: int
    """Of the images: 1 (grey) or 3 (RGB)."""
    overlaps: tuple[Overlap, ...] = ()
    """Overlaps between splits that the data set's file accepts, with the reason."""
    encoding: str = "index"
    """Of the masks: `index` or `onehot`."""


def write_labels(folder: Path, labels: Labels) -> None:
    """Write `labels.json` into a folder of records."""
    files.write_json(folder / LABELS, asdict(labels))


def read_labels(folder: Path) -> Labels:
    """Read `labels.json` of a folder of records.

    Raises:
        ValueError: it is missing, damaged, or of another layout.
    """
    path = folder / LABELS
    content = files.read_json(path)
    try:
        return Labels(
            dataset=content["dataset"],
            classes=tuple(content["classes"]),
            colours=tuple((red, green, blue) for red, green, blue in content["colours"]),
            channels=content["channels"],
            overlaps=tuple(
                Overlap(
                    overlap["rule"], (overlap["splits"][0], overlap["splits"][1]), overlap["reason"]
                )
                for overlap in content["overlaps"]
            ),
            encoding=content["encoding"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} has another layout ({error}); {CONVERT_AGAIN}") from None
