"""The model and the pictures that ship with the package; `fcn.samples.update` writes them."""

import re
from pathlib import Path

from fcn.common import files

FOLDER = Path(__file__).parent
MODEL = "digits-fcn8s"
"""The row of the default table whose model ships."""
CARD = FOLDER / f"{MODEL}.md"
PICTURES = (FOLDER / "digits-strip.png", FOLDER / "digits-canvas.png")
SHA256 = f"SHA-256 of {MODEL}.keras"
"""The title of the file's hash in the model card."""


def model(folder: Path = FOLDER) -> Path:
    """Return the shipped model's file; its bytes are those that its card names.

    Raises:
        ValueError: they are not.
    """
    path, card = folder / f"{MODEL}.keras", folder / CARD.name
    named = re.search(rf"^- {SHA256}: `(\w+)`$", card.read_text("utf-8"), re.MULTILINE)
    sha256 = files.sha256(path)
    if named is None or named[1] != sha256:
        raise ValueError(
            f"{path} is damaged: its SHA-256 is {sha256}, its card {card.name} names "
            f"{named[1] if named else 'none'}; install fcn-line again"
        )
    return path
