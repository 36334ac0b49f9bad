"""Write the model, its card and the pictures that ship with the package, from the made table.

    python -m fcn.samples.update

Run it in the project's folder after the default table was made again: the shipped model is the one
in data/models, bit for bit, and a test compares it with the committed dvc.lock.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from fcn.common import files, messages
from fcn.datasets import digits
from fcn.datasets.shared.canvases import HEIGHT, SIDE
from fcn.records.sample import ObjectCrop
from fcn.records.split import Records
from fcn.samples import shipped
from fcn.serving import card
from fcn.settings import reader
from fcn.settings.keys import table_of
from fcn.settings.reader import Loaded

CANVAS = 2
"""Number of the sample canvas in the split that the table measures."""
PITCH = 3 * SIDE // 2
"""Columns per digit of the strip: about as many digits per pixel as on a canvas."""
ROWS = (12, 24)
"""Top rows of the strip's digits, in turns."""


def strip(crops: Iterable[ObjectCrop]) -> np.ndarray:
    """Return the first digit of each class in a row, 0 to 9: uint8 64 420."""
    first: dict[int, np.ndarray] = {}
    for crop in crops:
        first.setdefault(crop.label, crop.image)
    image = np.zeros((HEIGHT, PITCH * len(first)), np.uint8)
    for number, label in enumerate(sorted(first)):
        top, left = ROWS[number % len(ROWS)], PITCH * number + (PITCH - SIDE) // 2
        image[top : top + SIDE, left : left + SIDE] = first[label]
    return image


def pictures(raw: Path, loaded: Loaded) -> dict[str, np.ndarray]:
    """Return the sample pictures by file name, uint8 H W, from the digits of the measured split.

    Args:
        raw: the data set's raw folder.
        loaded: the default table's settings.
    """
    table = loaded.table
    split, seed = table.tables[table_of(shipped.MODEL)].evaluation.split, loaded.common.seed
    count = table.datasets[table.models[shipped.MODEL].dataset].convert.splits[split]
    canvas = digits.samples(raw, split, count, seed)[CANVAS]
    images = strip(digits.object_crops(raw, split, seed)), np.asarray(canvas.image)
    return {path.name: image for path, image in zip(shipped.PICTURES, images, strict=True)}


def update(root: Path = Path(), out: Path = shipped.FOLDER) -> None:
    """Write all files.

    Raises:
        ValueError: the model or the records are missing, or are not what the table was made with.
    """
    model = root / f"data/models/{shipped.MODEL}.keras"
    if not model.is_file():
        raise ValueError(f"{model} is missing; `dvc repro` makes it")
    row = card.read_row(shipped.MODEL, root)
    split = Records(root / "data/records/digits", row.split)
    text = card.markdown(shipped.MODEL, {shipped.SHA256: files.sha256(model)}, split, (), row)
    loaded = reader.load(shipped.MODEL, root)
    for name, image in pictures(root / "data/raw/digits", loaded).items():
        Image.fromarray(image).save(out / name)
    shutil.copyfile(model, out / model.name)
    (out / shipped.CARD.name).write_text(text, "utf-8")
    messages.say(f"{out}: {', '.join(sorted(file.name for file in out.iterdir()))}")


if __name__ == "__main__":
    with messages.explaining():
        update()
