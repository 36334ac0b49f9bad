"""Segment pictures: masks, overlays and the share of each class.

    fcn predict photo.jpg
    fcn predict photos/ 'more/**/*.png' --model camvid-fcn8s --out results
    fcn predict scan.tif --model models:/fcn-digits@champion --probabilities
    fcn predict photo.jpg --model exported/digits-fcn8s/model.onnx
    curl -s https://example.org/a.jpg | fcn predict - --model digits.keras

Writes for `photo.jpg`, at its own size:

    photo-mask.png       class indices, with the classes' colours as palette
    photo-overlay.png    the picture with the classes in colour, and a legend
    photo.json           the share of each class, and the provenance of the result
    photo-probabilities.npz   float16 H W K, with --probabilities
    photo-person.png .webp    with --sticker person

Each PNG contains the names of the model, the MLflow run and the Git commit that made it. Unreadable
pictures are named and skipped; then the exit code is 3, or 1 if none is left.
"""

from pathlib import Path
from typing import Annotated

from typer import Option

from fcn.prediction.options import Pictures, PredictorOptions


def predict(
    pictures: Pictures,
    options: PredictorOptions,
    out: Annotated[Path, Option(help="Folder to write.")] = Path("predictions"),
    beside: Annotated[bool, Option("--beside", help="Write beside each picture instead.")] = False,
    probabilities: Annotated[
        bool, Option("--probabilities", help="Write the softmax of every class and pixel too.")
    ] = False,
    sticker: Annotated[
        str | None, Option(metavar="CLASS", help="Cut this class out as a sticker too.")
    ] = None,
    report: Annotated[
        Path | None,
        Option(
            help="JSON file to write: the model and its SHA-256, the files of each picture, why "
            "others failed."
        ),
    ] = None,
) -> int:
    """Return the exit code."""
    from fcn.prediction import predict as room

    results = room.Results(None if beside else out, probabilities, sticker, report)
    return room.predict(pictures, options, results)
