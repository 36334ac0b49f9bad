"""Cut one class out of pictures, as stickers for messengers.

    fcn sticker person photo.jpg
    fcn sticker cat pets/ --model voc2012-fcn8s --out stickers

Writes `photo-person.png` and `photo-person.webp`: 512x512 pixels, the object's longer side fills
them; the contour is white, the background transparent. Telegram and WhatsApp accept both. The exit
code is 3 if some pictures were skipped, 1 if all were.
"""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from fcn.prediction.options import Pictures, PredictorOptions


def sticker(
    name: Annotated[str, Argument(metavar="CLASS", help="The class to cut out.")],
    pictures: Pictures,
    options: PredictorOptions,
    out: Annotated[Path, Option(help="Folder to write.")] = Path("stickers"),
) -> int:
    """Return the exit code."""
    from fcn.prediction.sticker import stickers

    return stickers(name, pictures, options, out)
