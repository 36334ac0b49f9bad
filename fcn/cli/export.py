"""Export a network to other programs' formats, with a model card.

    fcn export digits-fcn8s --out exported/digits-fcn8s
    fcn export my.keras --records data/records/mine --split val --formats onnx --out mine

Writes into the folder, all of it or nothing:

    saved_model/   TensorFlow SavedModel
    model.onnx     ONNX
    model.tflite   LiteRT (TensorFlow Lite)
    README.md      the model card: scores, data and licence, limits, hashes, measured equality

Each file is opened again by its own runtime and compared with the network on real pictures of the
records. An export that differs is refused.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from fcn.common import messages


class FormatName(StrEnum):
    """The keys of `fcn.serving.formats.FORMATS`, known without Keras."""

    SAVED_MODEL = "saved_model"
    ONNX = "onnx"
    LITERT = "litert"


def export(
    model: Annotated[
        str, Argument(help="A row of a table (digits-fcn8s) or a file (model.keras).")
    ],
    out: Annotated[Path, Option(help="Folder to write, replaced if it is an earlier export.")],
    formats: Annotated[
        list[FormatName] | None, Option(help="Repeat the option for several. Default: all.")
    ] = None,
    records: Annotated[
        Path | None,
        Option(help="Folder of records whose pictures are compared. Default: those of the row."),
    ] = None,
    split: Annotated[
        str | None,
        Option(help="Split of the records. Default: the one that the row's table measures."),
    ] = None,
) -> None:
    """Export and compare."""
    from fcn.prediction import named_model
    from fcn.serving import export as room

    with named_model.find(model, tracking=False) as named:
        messages.say(f"model {named}")
        room.export_file(named.path, out, formats or list(FormatName), records, split)
